//! The page for operators and the preview of a stream, in a real browser.

use harness::artifacts;
use harness::browser::Browser;
use harness::clips::Clip;
use harness::flv::{self as tags, Tag};
use harness::http;
use harness::live::Live;
use harness::rtmp::Publisher;
use harness::rtmp::feed::{Feed, repeated};
use harness::server::{Server, Setup, items};
use harness::wait;
use serde_json::{Value, json};

use crate::{LIMIT, feed};

/// A key that would run a script, were it taken for markup.
const HOSTILE: &str = "live/<img src=x onerror=alert(1)>";
/// The same in a URL.
const HOSTILE_PATH: &str = "live/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E";

fn start(change: &Value) -> Server {
    Setup::new().plugin(&artifacts::plugin_library("flv")).config(change).start()
}

fn url(server: &Server, path: &str) -> String {
    format!("http://{}{path}", server.address("http"))
}

/// In real time, and for longer than a test takes.
fn publish(server: &Server, key: &str, clip: Clip) -> Feed {
    feed(server, key, repeated(clip.media().tags(), 30))
}

/// Loads the page and gives it the token, as an operator does.
fn sign_in(browser: &Browser, server: &Server) {
    browser.open(&url(server, "/"));
    browser.type_into("#token", &format!("{}\n", server.token()));
    browser.wait_for("the page", LIMIT, "!document.getElementById('page').hidden");
}

/// The keys in the table of streams.
fn keys(browser: &Browser) -> Vec<String> {
    let keys = browser
        .run("return [...document.querySelectorAll('.opener')].map((key) => key.textContent)");
    serde_json::from_value(keys).expect("texts")
}

/// Opens the details of a stream.
fn open_details(browser: &Browser, key: &str) {
    wait::until("the stream in the table", LIMIT, || {
        keys(browser).contains(&key.to_owned()).then_some(())
    });
    let nth = keys(browser).iter().position(|listed| listed == key).expect("it is there") + 1;
    // The head of the table comes first.
    browser.click(&format!("#streams > :nth-child({}) .opener", nth + 1));
    browser.wait_for("the details", LIMIT, "document.querySelector('.details')");
}

/// What the preview has played so far: milliseconds and pictures.
fn played(browser: &Browser) -> (u64, u64) {
    let figures = browser.run(
        "const video = document.querySelector('video'); \
         return [Math.floor(1000 * video.currentTime), video.getVideoPlaybackQuality().totalVideoFrames]",
    );
    (figures[0].as_u64().expect("a time"), figures[1].as_u64().expect("a count"))
}

/// Waits until a second more has been played, and pictures with it.
#[track_caller]
fn plays_on(browser: &Browser) {
    let before = played(browser);
    let goes_on = || {
        let now = played(browser);
        (now.0 >= before.0 + 1000 && now.1 >= before.1 + 10).then_some(now)
    };
    let now = wait::try_until(LIMIT, goes_on);
    assert!(now.is_some(), "from {before:?} to {:?}: {}", played(browser), browser.text("#told"));
}

/// What the preview says in place of a picture.
#[track_caller]
fn says(browser: &Browser, text: &str) {
    let said = || browser.run("return document.getElementById('text').textContent");
    let told = wait::try_until(LIMIT, || said().as_str()?.contains(text).then_some(()));
    assert!(told.is_some(), "it says {}, not {text}", said());
}

#[test]
fn a_stream_is_seen_on_the_page_and_plays_in_the_preview() {
    let server = start(&json!({}));
    let _stream = publish(&server, "live/x", Clip::BFrames);
    let _hostile = publish(&server, HOSTILE, Clip::VideoOnly);
    let browser = Browser::start();

    sign_in(&browser, &server);
    open_details(&browser, "live/x");
    assert_eq!(keys(&browser), [HOSTILE, "live/x"]);
    let details = browser.text(".details");
    let flv = url(&server, "/flv/live/x.flv");
    for expected in [&*flv, &*server.rtmp_url("live/x"), "can be played", "Nobody watches."] {
        assert!(details.contains(expected), "{expected} is not in {details}");
    }
    let row = browser.text("#streams > :nth-child(3)");
    assert!(row.contains("H.264 · AAC") && row.contains("192×144"), "{row}");
    assert!(browser.text("#plugins").contains("running"));
    assert_eq!(browser.run("return document.querySelectorAll('main img').length"), 0);
    assert_eq!(browser.run("return location.href"), url(&server, "/"), "the token is in no URL");
    browser.screenshot("page");

    browser.click("#streams > :nth-child(3) .action a");
    browser.wait_for("a picture", LIMIT, "document.querySelector('video').videoWidth");
    plays_on(&browser);
    plays_on(&browser);
    let shown = browser.run(
        "const video = document.querySelector('video'); \
         return [location.pathname, video.videoWidth, video.videoHeight]",
    );
    assert_eq!(shown, json!(["/preview/live/x", 192, 144]));
    assert_eq!((browser.text("#key"), browser.text("#link")), ("live/x".into(), "Live".into()));
    let viewers = items(&server.api("/api/v1/viewers"));
    assert!(viewers[0]["agent"].as_str().unwrap().contains("Chrome"), "{viewers:?}");
    browser.screenshot("preview");

    browser.open(&url(&server, &format!("/preview/{HOSTILE_PATH}")));
    plays_on(&browser);
    assert_eq!(browser.text("#key"), HOSTILE);
    let detail = server.api(&format!("/api/v1/streams/{}", HOSTILE_PATH.replace('/', "%2F")));
    let urls: Vec<&str> =
        detail["urls"].as_array().unwrap().iter().filter_map(|url| url["play"].as_str()).collect();
    let flv =
        urls.iter().find_map(|play| play.strip_prefix(&url(&server, ""))).expect("a URL of FLV");
    Live::http(server.address("http"), flv).wait_for_frames(1);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_page_asks_for_the_token_and_does_what_the_operator_wants() {
    let server = start(&json!({}));
    let address = server.address("http");
    let browser = Browser::start();

    browser.open(&url(&server, "/"));
    browser.type_into("#token", "wrong\n");
    browser.wait_for("the problem", LIMIT, "document.getElementById('token-problem').textContent");
    let kept = browser.run("return Object.keys(sessionStorage).length");
    assert_eq!(kept, 0, "a wrong token is not kept");
    sign_in(&browser, &server);
    let first = browser.text("#first-stream");
    assert!(first.contains(&server.rtmp_url("live/cam")), "{first}");
    assert!(first.contains("OBS"), "{first}");
    // A refused request is an error of the console, and meant here.
    browser.complaints();

    let _stream = publish(&server, "live/x", Clip::BFrames);
    let viewer = Live::http(address, "/flv/live/x.flv");
    viewer.wait_for_frames(1);
    open_details(&browser, "live/x");
    browser.wait_for("the viewer", LIMIT, "document.querySelector('.viewers .action button')");
    browser.click(".viewers .action button");
    browser.click("#dialog-yes");
    viewer.wait_for_end(LIMIT);

    // Closed without a yes, nothing is done.
    browser.click(".details .danger");
    browser.click("#dialog .plain");
    browser.click(".details .danger");
    browser.click("#dialog-yes");
    browser.wait_for("the end", LIMIT, "!document.querySelector('.opener')");
    let again = Publisher::try_open(server.rtmp(), "live/x");
    assert!(again.is_err(), "the key is blocked for a minute");

    assert_eq!(browser.text("#link"), "Live");
    let mut server = server;
    server.terminate();
    browser.wait_for(
        "the notice",
        LIMIT,
        "document.getElementById('link').dataset.state === 'lost'",
    );
    assert!(browser.text("#link").starts_with("Reconnecting"), "{}", browser.text("#link"));
}

#[test]
fn the_preview_says_why_it_cannot_play_and_waits_for_what_may_come() {
    let server = start(&json!({
        "publish": { "republish_window": "0s" },
        "subscribe": { "wait_timeout": "300ms" },
        "auth": [
            { "stream": "live/**", "allow": "play" },
            { "stream": "staff/**", "allow": "play", "key": "open sesame" },
        ],
    }));
    let browser = Browser::start();
    let preview = |path: &str| browser.open(&url(&server, &format!("/preview/{path}")));

    preview("live/x");
    says(&browser, "no stream of this key");
    let first = publish(&server, "live/x", Clip::BFrames);
    plays_on(&browser);
    first.stop().finish();
    says(&browser, "has ended");
    let _second = publish(&server, "live/x", Clip::BFrames);
    plays_on(&browser);

    let _staff = publish(&server, "staff/x", Clip::VideoOnly);
    preview("staff/x");
    says(&browser, "Not allowed");
    preview("staff/x?key=open%20sesame");
    plays_on(&browser);

    let foreign = Publisher::open(server.rtmp(), "live/vp9");
    for (time_ms, body) in [(0, &b"\x90vp09config"[..]), (0, b"\x91vp09key"), (40, b"\xa1vp09")] {
        foreign.send(&Tag { kind: tags::VIDEO, time_ms, body: body.to_vec() }).unwrap();
    }
    server.wait_for_stream("live/vp9");
    preview("live/vp9?hevc=legacy");
    says(&browser, "FLV can't carry any of: vp09");

    // Debian's Chromium decodes no H.265 without a graphics card.
    let _hevc = publish(&server, "live/hevc", Clip::Hevc);
    preview("live/hevc");
    says(&browser, "can’t play H.265 (hvc1");
}

#[test]
fn the_preview_says_that_flv_is_missing() {
    let server = Setup::new().start();
    let answer = http::get(server.address("http"), "/flv/live/x.flv", None);
    assert_eq!(answer.status, 404);
    let browser = Browser::start();

    browser.open(&url(&server, "/preview/live/x"));

    says(&browser, "No FLV plugin");
}
