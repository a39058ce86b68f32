//! Certificates for servers under test.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

/// A certificate for `localhost` that signs itself, with its key.
#[derive(Debug)]
pub struct Certificate(TempDir);

impl Certificate {
    /// Made by OpenSSL; a second one may take its place later.
    #[track_caller]
    pub fn new(days: u32) -> Self {
        let folder =
            TempDir::with_prefix("plugcast-tls-").expect("the temporary folder is writable");
        let own = Self(folder);
        own.renew(days);
        own
    }

    /// Overwrites both files.
    #[track_caller]
    pub fn renew(&self, days: u32) {
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-subj", "/CN=localhost", "-days", &days.to_string(), "-keyout"])
            .arg(self.key())
            .arg("-out")
            .arg(self.certificate())
            .output()
            .expect("openssl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The profile in a server's config.
    pub fn profile(&self) -> Value {
        json!({ "certificate": self.certificate(), "key": self.key() })
    }

    fn certificate(&self) -> PathBuf {
        self.0.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }
}
