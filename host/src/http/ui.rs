//! The page for operators and the preview of a stream: the files of `admin-ui`, embedded.
//!
//! A fixed table and no file server: a path that is not in it is nothing. The files are open to everybody and say nothing
//! about this server; what they show they ask the API for, with the token.

use std::sync::OnceLock;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderValue, IF_NONE_MATCH, REFERRER_POLICY,
};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};

use super::Problem;
use super::route::Answer;
use super::worker::State;

/// Scripts, styles and pictures of this server only; nothing inline, and no text becomes markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// One file, as it is in the repository.
struct File {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
    tag: OnceLock<String>,
}

macro_rules! file {
    ($name:literal, $media_type:expr) => {
        File {
            name: $name,
            media_type: $media_type,
            bytes: include_bytes!(concat!("../../../admin-ui/", $name)),
            tag: OnceLock::new(),
        }
    };
}

const CSS: &str = "text/css; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

static INDEX: File = file!("index.html", HTML);
static PREVIEW: File = file!("preview.html", HTML);
/// What the two load, under `/ui/`.
static PARTS: [File; 11] = [
    file!("api.js", JS),
    file!("dialogs.js", JS),
    file!("dom.js", JS),
    file!("icon.svg", "image/svg+xml"),
    file!("lists.js", JS),
    file!("page.js", JS),
    file!("preview.js", JS),
    file!("streams.js", JS),
    file!("style.css", CSS),
    file!("units.js", JS),
    file!("vendor/mpegts.js", JS),
];

pub(super) fn index(request: &HttpRequest, _state: &State) -> Answer {
    INDEX.answer(request)
}

/// The same for every key: the script in it reads the path.
pub(super) fn preview(request: &HttpRequest, _state: &State) -> Answer {
    PREVIEW.answer(request)
}

pub(super) fn part(request: &HttpRequest, _state: &State) -> Answer {
    let name = request.match_info().get("file").unwrap_or_default();
    let part = PARTS.iter().find(|part| part.name == name);
    part.ok_or_else(|| Problem::not_found("there is nothing at this path"))?.answer(request)
}

impl File {
    fn answer(&self, request: &HttpRequest) -> Answer {
        let tag = self.tag();
        let known = request.headers().get_all(IF_NONE_MATCH).any(|known| {
            known.to_str().is_ok_and(|known| known.split(',').any(|known| is_same(known, tag)))
        });
        let mut response = match known {
            true => HttpResponse::NotModified(),
            false => HttpResponse::Ok(),
        };
        response
            .insert_header((ETAG, tag))
            // Asked for each time, so that another version of the server is seen at once.
            .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-cache")))
            .insert_header((CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)))
            .insert_header((REFERRER_POLICY, HeaderValue::from_static("no-referrer")));
        Ok(match known {
            true => response.finish(),
            false => response.content_type(self.media_type).body(self.bytes),
        })
    }

    /// Of the content, in quotes.
    fn tag(&self) -> &str {
        self.tag.get_or_init(|| {
            let sum = Sha256::digest(self.bytes);
            let hex: String = sum.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            format!("\"{hex}\"")
        })
    }
}

/// The weak comparison (RFC 9110, section 13.1.2).
fn is_same(known: &str, tag: &str) -> bool {
    let known = known.trim();
    known.strip_prefix("W/").unwrap_or(known) == tag
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_in_the_table() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../admin-ui"));
        let names = |folder: &Path, prefix: &str| -> BTreeSet<String> {
            let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
            let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
            files.map(|file| format!("{prefix}{}", file.file_name().to_str().unwrap())).collect()
        };
        let mut there = names(folder, "");
        there.extend(names(&folder.join("vendor"), "vendor/"));
        // Texts for those who read the repository.
        there.retain(|name| {
            !name.ends_with(".md") && !name.ends_with("LICENSE") && !name.ends_with("NOTICE")
        });

        let table = PARTS.iter().chain([&INDEX, &PREVIEW]).map(|file| file.name.to_owned());
        assert_eq!(table.collect::<BTreeSet<_>>(), there);
    }

    #[test]
    fn what_others_wrote_is_as_they_published_it() {
        let readme = include_str!("../../../admin-ui/vendor/README.md");
        for part in PARTS.iter().filter(|part| part.name.starts_with("vendor/")) {
            let sum: String =
                Sha256::digest(part.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(readme.contains(&sum), "{}: {sum}", part.name);
        }
    }

    /// The policy forbids both; this says where.
    #[test]
    fn nothing_is_inline_and_no_text_becomes_markup() {
        let own = PARTS.iter().chain([&INDEX, &PREVIEW]).filter(|file| !file.name.contains('/'));
        for file in own {
            let text = std::str::from_utf8(file.bytes).unwrap();
            for word in ["innerHTML", "outerHTML", "insertAdjacent", " onclick", " style=", "eval("]
            {
                assert!(!text.contains(word), "{}: {word}", file.name);
            }
            let scripts = text.matches("<script").count();
            assert_eq!(text.matches("></script>").count(), scripts, "{}", file.name);
            assert!(!text.contains("<style"), "{}", file.name);
        }
    }

    #[test]
    fn tags_are_compared_weakly() {
        for (known, expected) in
            [("\"a\"", true), (" W/\"a\" ", true), ("\"b\"", false), ("*", false)]
        {
            assert_eq!(is_same(known, "\"a\""), expected, "{known}");
        }
    }
}
