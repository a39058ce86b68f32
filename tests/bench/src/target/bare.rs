//! This program again, as a server: the bare loop.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use clap::ValueEnum;

use super::{Play, Running, Target};
use crate::bare::Method;
use crate::error::Error;
use crate::machine;
use crate::options::Media;

pub(super) fn start(method: Method, media: Media, core: Option<usize>) -> Result<Target, Error> {
    let ours = std::env::current_exe().map_err(Error::io("our own path"))?;
    let mut command = Command::new(ours);
    let engine = method.engine.to_possible_value();
    command.arg("bare").arg("--engine").args(engine.iter().map(|engine| engine.get_name()));
    command.args(["--every-ms", &method.every_ms.to_string()]);
    command.args(["--streams", &media.streams.to_string()]);
    command.args(["--bitrate", &media.bitrate.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = Running(machine::spawn_on(core, &mut command)?);
    let stdout = child.0.stdout.take().ok_or(Error::Closed("to the bare loop"))?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).map_err(Error::io("the bare loop"))?;
    let address = line.trim().parse().map_err(|_| Error::Start(format!("bare loop: {line:?}")))?;
    Ok(Target {
        publish: None,
        play: Play::Bare(address),
        tls: None,
        pids: vec![child.0.id()],
        _child: Some(child),
        _folder: None,
    })
}
