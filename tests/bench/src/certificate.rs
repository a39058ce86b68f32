//! A certificate for our server, made for one run, and the client's side that trusts it and nothing else.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;

pub(crate) struct Certificate {
    pub path: PathBuf,
    pub key: PathBuf,
    pub trust: Arc<ClientConfig>,
}

impl Certificate {
    /// Writes both files into a folder.
    pub(crate) fn make(folder: &Path) -> Result<Self, Error> {
        let failed = || Error::io("a certificate");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let made = made.map_err(io::Error::other).map_err(failed())?;
        let (path, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        fs::write(&path, made.cert.pem()).map_err(failed())?;
        fs::write(&key, made.signing_key.serialize_pem()).map_err(failed())?;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).map_err(io::Error::other).map_err(failed())?;
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Self { path, key, trust: Arc::new(config) })
    }
}
