//! From what a client says of its target to a stream key's path and query.
//!
//! message → command → **url** → session → host
//!
//! A user types one URL, and clients cut it differently into the `app` of connect and the `name` of
//! publish or play:
//!
//! ```text
//! rtmp://host/app/name?key=1      app            name             client
//!                                 app            name?key=1       OBS, ffmpeg, librtmp
//!                                 app?key=1      name             OBS, key in the server field
//! rtmp://host/a/b/name            a/b            name             ffmpeg
//!                                 a              b/name           librtmp, OBS by its user
//! ```
//!
//! Put together again they are the same. Percent signs are left alone: the host decodes, once.

/// What a client publishes or plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `app/name`, with any number of segments, none of them empty. Empty if there is nothing.
    pub path: String,
    /// What came after `?`, without it: that of app, then that of name, joined by `&`.
    pub query: String,
}

impl Target {
    /// Puts `app` and `tc_url` of connect and the stream's `name` together.
    ///
    /// The query of `tc_url` counts only if `app` has none: clients that have it in both mean the
    /// same. Its path is not used: it may be that of a proxy in between.
    pub fn new(app: &str, tc_url: &str, name: &str) -> Self {
        let (app, app_query) = split_query(app);
        let (name, name_query) = split_query(name);
        let (_, url_query) = split_query(tc_url);
        let connect_query = if app_query.is_empty() { url_query } else { app_query };

        let segments = app.split('/').chain(without_type(name).split('/'));
        let segments: Vec<&str> = segments.filter(|segment| !segment.is_empty()).collect();
        let mut query = connect_query.to_owned();
        // Some clients repeat the query of the whole URL in both places.
        if name_query != connect_query {
            let between = if query.is_empty() || name_query.is_empty() { "" } else { "&" };
            query = [&query, between, name_query].concat();
        }
        Self { path: segments.join("/"), query }
    }

    /// Whether a name is there beyond the app: `app` alone cannot be published.
    pub fn has_name(&self) -> bool {
        self.path.contains('/')
    }
}

/// Splits at the first question mark. A server field of `rtmp://host/app?key=1/` leaves a slash at
/// the end of app's query that belongs to nobody: it is dropped.
fn split_query(text: &str) -> (&str, &str) {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    (path, query.trim_end_matches('/'))
}

/// Removes the file type that ffmpeg and librtmp put before names with such an ending: for
/// `rtmp://host/app/cam.mp4` they play `mp4:cam.mp4`.
fn without_type(name: &str) -> &str {
    ["mp4:", "flv:", "mp3:"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_what_clients_cut_apart() {
        let cases = [
            // client, app, tcUrl, name, path, query
            ("OBS", "live", "rtmp://h/live", "cam?key=1", "live/cam", "key=1"),
            ("query in app", "live?key=1", "rtmp://h/live?key=1", "cam", "live/cam", "key=1"),
            ("query in tcUrl", "live", "rtmp://h/live?key=1", "cam", "live/cam", "key=1"),
            ("query in both", "live?a=1", "rtmp://h/live?a=1", "cam?b=2", "live/cam", "a=1&b=2"),
            ("same in both", "live?a=1", "", "cam?a=1", "live/cam", "a=1"),
            ("ffmpeg, deep", "live/site", "rtmp://h/live/site", "cam", "live/site/cam", ""),
            ("librtmp, deep", "live", "rtmp://h/live", "site/cam", "live/site/cam", ""),
            ("all in app", "live/cam", "rtmp://h/live/cam", "", "live/cam", ""),
            ("slashes", "/live//", "rtmp://h/live", "/cam/", "live/cam", ""),
            ("file type", "vod", "rtmp://h/vod", "mp4:cam.mp4", "vod/cam.mp4", ""),
            ("escapes stay", "live", "", "c%2fm?k=a%26b", "live/c%2fm", "k=a%26b"),
            ("slash after query", "live?key=1/", "", "cam", "live/cam", "key=1"),
            ("second mark", "live", "", "cam?a=?", "live/cam", "a=?"),
            ("nothing", "", "", "", "", ""),
        ];
        for (client, app, tc_url, name, path, query) in cases {
            let target = Target::new(app, tc_url, name);
            assert_eq!((target.path.as_str(), target.query.as_str()), (path, query), "{client}");
        }
    }

    #[test]
    fn an_app_alone_has_no_name() {
        for (app, name, expected) in
            [("live", "", false), ("live/", "/", false), ("live", "?key=1", false), ("", "", false)]
        {
            assert_eq!(Target::new(app, "", name).has_name(), expected, "{app:?} {name:?}");
        }
        assert!(Target::new("live", "", "cam").has_name());
    }
}
