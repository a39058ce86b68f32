//! The metrics page, read as strictly as the OpenMetrics text format is written.

use std::collections::{BTreeMap, BTreeSet};

/// A family: what stands between one `# HELP` and the next.
#[derive(Debug, Default, PartialEq)]
pub struct Family {
    pub kind: String,
    /// By name and labels, as written.
    pub samples: BTreeMap<String, f64>,
}

/// A page by the names of its families.
///
/// # Errors
/// The first line that breaks a rule, and the rule.
pub fn parse(page: &str) -> Result<BTreeMap<String, Family>, String> {
    let body = page.strip_suffix("# EOF\n").ok_or("the page does not end with # EOF")?;
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    for line in body.lines() {
        let wrong = |rule: &str| Err(format!("{rule}: {line}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let Some((name, help)) = rest.split_once(' ') else { return wrong("no text") };
            if !is_name(name) || help.is_empty() {
                return wrong("no name, or no text");
            }
            if families.insert(name.to_owned(), Family::default()).is_some() {
                return wrong("described twice");
            }
            current = name.to_owned();
            continue;
        }
        let Some(family) = families.get_mut(&current) else { return wrong("not described") };
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (Some((name, kind)), true) = (rest.split_once(' '), family.kind.is_empty()) else {
                return wrong("no type, or a second one");
            };
            if name != current || suffixes(kind).is_empty() || !family.samples.is_empty() {
                return wrong("not the type of the family above");
            }
            family.kind = kind.to_owned();
            continue;
        }
        let Some((series, value)) = line.rsplit_once(' ') else { return wrong("no sample") };
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let suffix = name.strip_prefix(&*current);
        if !suffix.is_some_and(|suffix| suffixes(&family.kind).contains(&suffix)) {
            return wrong("not a sample of the family above");
        }
        let Some(mut labels) = read_labels(labels) else {
            return wrong("the labels can't be read");
        };
        labels.sort();
        if labels.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return wrong("a label twice");
        }
        if !seen.insert((name.to_owned(), labels)) {
            return wrong("a series twice");
        }
        let Ok(number) = value.parse::<f64>() else { return wrong("the value is no number") };
        if family.kind == "counter" && !(number.is_finite() && number >= 0.0) {
            return wrong("a counter counts up from 0");
        }
        family.samples.insert(series.to_owned(), number);
    }
    match families.iter().find(|(_, family)| family.kind.is_empty()) {
        Some((name, _)) => Err(format!("{name} has no type")),
        None => Ok(families),
    }
}

/// What the names of a kind's samples have behind the name of the family.
fn suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total"],
        "gauge" => &[""],
        "histogram" => &["_bucket", "_count", "_sum"],
        "info" => &["_info"],
        _ => &[],
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// `a="1",b="\""}`, behind the opening bracket.
fn read_labels(text: &str) -> Option<Vec<(String, String)>> {
    let mut labels = Vec::new();
    let mut rest = text;
    while rest != "}" {
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match letters.next()?.1 {
                    'n' => '\n',
                    escaped @ ('"' | '\\') => escaped,
                    _ => return None,
                }),
                (_, letter) => value.push(letter),
            }
        };
        if !is_name(name) {
            return None;
        }
        labels.push((name.to_owned(), value));
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# HELP a A.\n# TYPE a counter\na_total{x=\"1\"} 1\na_total{x=\"\\\"}\"} 2\n\
                        # HELP b B.\n# TYPE b gauge\nb 0.5\n# EOF\n";

    #[test]
    fn reads_a_page() {
        let page = parse(GOOD).unwrap();

        assert_eq!(page["a"].samples["a_total{x=\"1\"}"], 1.0);
        assert_eq!((page["b"].kind.as_str(), page["b"].samples["b"]), ("gauge", 0.5));
    }

    #[test]
    fn refuses_what_the_format_forbids() {
        for (from, to) in [
            ("# EOF\n", ""),
            ("# HELP b B.", "# HELP a B."),
            ("# HELP a A.\n", ""),
            ("# TYPE b gauge\n", ""),
            ("# TYPE b gauge", "# TYPE b number"),
            ("# TYPE b gauge", "# TYPE b gauge\n# TYPE b gauge"),
            ("b 0.5", "c 0.5"),
            ("b 0.5", "b half"),
            ("b 0.5", "b 0.5\nb 1"),
            ("a_total{x=\"1\"}", "a{x=\"1\"}"),
            ("x=\"1\"} 1", "x=\"1\"} -1"),
            ("x=\"1\"} 1", "x=\"1\",x=\"2\"} 1"),
            ("x=\"1\"}", "x=1}"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            assert!(parse(&GOOD.replace(from, to)).is_err(), "{from} as {to}");
        }
    }
}
