//! The program `plugcast`. What it can do is in [`plugcast::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    plugcast::cli::main()
}
