//! The projects that `plugcast plugin new` can write.

use super::{Error, Kind, Lang};

/// A project before names are filled in.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) lang: Lang,
    pub(super) kind: Kind,
    /// Path in the project, and text with `@ID@`, `@SNAKE@` (the id with `_` for `-`), `@SDK@` and `@TESTING@` (dependencies).
    pub(super) files: &'static [(&'static str, &'static str)],
}

macro_rules! file {
    ($name:literal, $from:literal) => {
        ($name, include_str!(concat!("../../../plugin-api/templates/", $from, ".in")))
    };
}

/// Every template. What is not here is refused by name.
pub(super) static TEMPLATES: [Template; 3] = [
    Template {
        lang: Lang::C,
        kind: Kind::Protocol,
        files: &[
            file!("plugin.c", "c-protocol/plugin.c"),
            file!("test.c", "c-protocol/test.c"),
            file!("Makefile", "c-protocol/Makefile"),
            file!("CMakeLists.txt", "c-protocol/CMakeLists.txt"),
            file!(".gitignore", "c-protocol/gitignore"),
        ],
    },
    Template {
        lang: Lang::Rust,
        kind: Kind::Protocol,
        files: &[
            file!("Cargo.toml", "rust-protocol/Cargo.toml"),
            file!("config.schema.json", "rust-protocol/config.schema.json"),
            file!("src/lib.rs", "rust-protocol/lib.rs"),
            file!(".gitignore", "rust-gitignore"),
        ],
    },
    Template {
        lang: Lang::Rust,
        kind: Kind::Http,
        files: &[
            file!("Cargo.toml", "rust-http/Cargo.toml"),
            file!("config.schema.json", "rust-http/config.schema.json"),
            file!("src/lib.rs", "rust-http/lib.rs"),
            file!(".gitignore", "rust-gitignore"),
        ],
    },
];

/// The template, or an error that names those which there are.
pub(super) fn find(lang: Lang, kind: Kind) -> Result<&'static Template, Error> {
    let found = TEMPLATES.iter().find(|template| (template.lang, template.kind) == (lang, kind));
    found.ok_or_else(|| {
        let all = TEMPLATES
            .iter()
            .map(|Template { lang, kind, .. }| format!("--lang {lang} --kind {kind}"));
        Error::NoTemplate(lang, kind, all.collect::<Vec<_>>().join(", "))
    })
}
