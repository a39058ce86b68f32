//! Plays and publishes through the real server and the libraries it loads, `plugcast-rtmp` and the fixtures: `misbehave`.
