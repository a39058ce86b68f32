//! Rust source without its comments and literals, so that checks look at code alone.

/// `text` with comments and the insides of string and character literals blanked. Lines keep their numbers.
pub(crate) fn code_only(text: &str) -> String {
    let mut scanner = Scanner { rest: text, out: String::with_capacity(text.len()) };
    while !scanner.rest.is_empty() {
        scanner.step();
    }
    scanner.out
}

/// The identifiers of a line of code, in order.
pub(crate) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .filter(|word| !word.is_empty())
}

struct Scanner<'a> {
    rest: &'a str,
    out: String,
}

impl Scanner<'_> {
    fn step(&mut self) {
        let rest = self.rest;
        if rest.starts_with("//") {
            self.blank(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.blank(block_comment_len(rest));
        } else if let Some(hashes) = raw_string_hashes(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = hashes + 2; // r, the hashes, the quote
            let len = rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len());
            self.blank(len);
        } else if rest.starts_with('"') {
            self.blank(quoted_len(rest, '"'));
        } else if let Some(len) = char_literal_len(rest) {
            self.blank(len);
        } else {
            self.take_word_or_letter();
        }
    }

    /// Whole identifiers at once, so that the `r` of `bar"…"` is not taken for a raw string's.
    fn take_word_or_letter(&mut self) {
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let word = self.rest.find(|letter| !is_word(letter)).unwrap_or(self.rest.len());
        let first = self.rest.chars().next().map_or(1, char::len_utf8);
        let (taken, rest) = self.rest.split_at(word.max(first));
        self.out.push_str(taken);
        self.rest = rest;
    }

    fn blank(&mut self, len: usize) {
        let (taken, rest) = self.rest.split_at(len);
        self.out.extend(taken.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }
}

fn block_comment_len(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn raw_string_hashes(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

fn quoted_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `'a'`, `'\n'`, `'\u{1f}'`, but not the lifetime `'a`.
fn char_literal_len(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('\'')?;
    if rest.starts_with('\\') {
        return Some(quoted_len(text, '\''));
    }
    let letter = rest.chars().next()?;
    rest[letter.len_utf8()..].starts_with('\'').then(|| letter.len_utf8() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_comments_and_literals_only() {
        let cases = [
            ("line comment", "a // unsafe\nb", "a b"),
            ("nested comment", "a /* x /* y */ z */ b", "a b"),
            ("string", r#"f("un\"safe")"#, "f( )"),
            ("raw string", "f(r#\"a\"b\"#)", "f( )"),
            ("word that ends in r", r#"bar"x""#, "bar"),
            ("character", "['\"', '\\'', 'a']", "[ , , ]"),
            ("lifetime", "fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
        ];
        for (name, input, expected) in cases {
            let code = code_only(input);

            assert_eq!(code.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{name}");
            assert_eq!(code.chars().count(), input.chars().count(), "{name}: columns moved");
            assert_eq!(code.lines().count(), input.lines().count(), "{name}: lines moved");
        }
    }

    #[test]
    fn splits_words() {
        assert_eq!(
            words("use std::net_x::{A, b};").collect::<Vec<_>>(),
            ["use", "std", "net_x", "A", "b"]
        );
    }
}
