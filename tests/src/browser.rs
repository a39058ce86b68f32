//! A real browser without a screen: Debian's Chromium, driven by its own chromedriver.
//!
//! WebDriver (W3C) is JSON over HTTP; a few of its commands are all that tests need. Keys and clicks go the way of a user's.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;
use crate::{artifacts, http, wait};

/// For the driver to listen, and for each of its answers: a browser starts slowly on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// How WebDriver calls the id of an element (section 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One browser at a time: it takes the whole of a core.
static TURN: Mutex<()> = Mutex::new(());

/// Only what a test opens is loaded.
const ARGUMENTS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // It ends with its driver, also when that is killed.
    "--remote-debugging-pipe",
    "--window-size=1280,800",
];

/// What a page must not do is written to the console, which [`Browser::complaints`] reads.
const REPORT_VIOLATIONS: &str = "addEventListener('securitypolicyviolation', (event) => \
     console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))";

/// One window. Closed when dropped; what it shows and says is printed when the test has failed.
#[derive(Debug)]
pub struct Browser {
    #[expect(dead_code, reason = "killed when dropped")]
    driver: Process,
    address: SocketAddr,
    session: String,
    #[expect(dead_code, reason = "removed when dropped")]
    profile: TempDir,
    #[expect(dead_code, reason = "held")]
    turn: MutexGuard<'static, ()>,
}

impl Browser {
    /// Opens an empty window with a profile of its own.
    #[track_caller]
    pub fn start() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let profile =
            TempDir::with_prefix("plugcast-chromium-").expect("the temporary folder is writable");
        let driver = Process::spawn("chromedriver", Command::new("chromedriver").arg("--port=0"));
        let port = wait::until("chromedriver to listen", LIMIT, || {
            let lines = driver.stdout().get();
            let line = lines.iter().find(|line| line.contains("started successfully on port"))?;
            line.trim_end_matches('.').rsplit(' ').next()?.parse::<u16>().ok()
        });
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut arguments: Vec<String> = ARGUMENTS.iter().map(|&text| text.to_owned()).collect();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let body = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let opened = answer(address, "POST", "/session", &body)
            .unwrap_or_else(|error| panic!("no browser: {error}; scripts/test installs it"));
        let session = opened["sessionId"].as_str().expect("a session has an id").to_owned();
        let browser = Self { driver, address, session, profile, turn };
        let source = json!({ "source": REPORT_VIOLATIONS });
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", &source);
        browser
    }

    /// Loads a page.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.call("POST", "/url", &json!({ "url": url }));
    }

    /// Runs the body of a function in the page.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.call("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression of the page is true.
    #[track_caller]
    pub fn wait_for(&self, what: &str, limit: Duration, expression: &str) {
        let script = format!("return Boolean({expression})");
        wait::until(what, limit, || (self.run(&script) == true).then_some(()));
    }

    /// The text of the one element that a CSS selector finds first, as it is shown.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        let path = format!("/element/{}/text", self.find(selector));
        self.call("GET", &path, &json!({})).as_str().expect("a text").to_owned()
    }

    #[track_caller]
    pub fn click(&self, selector: &str) {
        self.call("POST", &format!("/element/{}/click", self.find(selector)), &json!({}));
    }

    #[track_caller]
    pub fn type_into(&self, selector: &str, text: &str) {
        let path = format!("/element/{}/value", self.find(selector));
        self.call("POST", &path, &json!({ "text": text }));
    }

    /// Writes what the window shows to `target/screenshots`.
    #[track_caller]
    pub fn screenshot(&self, name: &str) -> PathBuf {
        let image = self.call("GET", "/screenshot", &json!({}));
        let image = STANDARD.decode(image.as_str().expect("a picture")).expect("a picture");
        let path = artifacts::cache_folder("screenshots").join(format!("{name}.png"));
        fs::write(&path, image).expect("target/ is writable");
        path
    }

    /// Warnings and errors of the console since the last question: of scripts, of the policy, of what could not be loaded.
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.call("POST", "/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().expect("a list").iter();
        entries
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING")
            .map(|entry| entry["message"].to_string())
            .collect()
    }

    #[track_caller]
    fn find(&self, selector: &str) -> String {
        let body = json!({ "using": "css selector", "value": selector });
        let found = self.call("POST", "/element", &body);
        found[ELEMENT].as_str().expect("an element has an id").to_owned()
    }

    #[track_caller]
    fn devtools(&self, command: &str, parameters: &Value) {
        let body = json!({ "cmd": command, "params": parameters });
        self.call("POST", "/goog/cdp/execute", &body);
    }

    #[track_caller]
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}{path}", self.session);
        answer(self.address, method, &path, body)
            .unwrap_or_else(|error| panic!("{method} {path} {body}: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let path = format!("/session/{}", self.session);
        if thread::panicking() {
            let script = json!({ "script": "return document.body.innerText", "args": [] });
            let text = answer(self.address, "POST", &format!("{path}/execute/sync"), &script);
            let log = json!({ "type": "browser" });
            let log = answer(self.address, "POST", &format!("{path}/se/log"), &log);
            eprintln!("--- the page ---\n{text:#?}\n--- its console ---\n{log:#?}\n---");
        }
        // Ended now, so that nobody writes into its profile while that is removed.
        drop(answer(self.address, "DELETE", &path, &json!({})));
    }
}

/// What a command gives; an error has the driver's words.
fn answer(address: SocketAddr, method: &str, path: &str, body: &Value) -> io::Result<Value> {
    let response = http::send_json(LIMIT, address, method, path, body)?;
    let answer: Value = serde_json::from_slice(&response.body)?;
    match response.status {
        200 => Ok(answer["value"].clone()),
        _ => Err(io::Error::other(answer["value"]["message"].to_string())),
    }
}
