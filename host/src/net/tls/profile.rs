//! A certificate with its key, from files that may change while the server runs.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, RwLock};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion, crypto, version};

use super::expiry::not_after;
use super::{Error, Tls};

/// Longer files are refused: a chain takes some ten kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// From here on an operator is told that a certificate ends.
const WARN_BEFORE: Duration = Duration::from_secs(14 * 86_400);
/// How often.
const WARN_INTERVAL: Duration = Duration::from_secs(86_400);

static TLS_1_2_UP: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
static TLS_1_3_UP: [&SupportedProtocolVersion; 1] = [&version::TLS13];

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    #[default]
    Tls12,
    Tls13,
}

/// What an operator says about a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileSettings {
    /// The server's certificate first, then the ones that lead to a root.
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub min_version: MinVersion,
}

/// All profiles, by name.
#[derive(Debug, Default)]
pub struct Profiles(BTreeMap<String, Arc<Profile>>);

impl Profiles {
    /// Reads the files of all profiles.
    ///
    /// # Errors
    /// What is wrong, for each profile.
    pub fn load(
        settings: impl IntoIterator<Item = (String, ProfileSettings)>,
    ) -> Result<Self, Vec<(String, Error)>> {
        let (mut profiles, mut errors) = (BTreeMap::new(), Vec::new());
        for (name, settings) in settings {
            match Profile::load(&name, settings) {
                Ok(profile) => {
                    profiles.insert(name, Arc::new(profile));
                }
                Err(error) => errors.push((name, error)),
            }
        }
        if errors.is_empty() { Ok(Self(profiles)) } else { Err(errors) }
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Profile>> {
        self.0.get(name)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name of each profile, and when its certificate ends.
    pub fn expiries(&self) -> Vec<(String, SystemTime)> {
        self.0.values().map(|profile| (profile.name.clone(), profile.expires())).collect()
    }

    /// Looks whether files have changed, and says what comes to its end. Reads files: may block.
    pub fn watch(&self, now: SystemTime) {
        for profile in self.0.values() {
            profile.watch(now);
        }
    }
}

/// One certificate and how it is used. Connections keep what they began with.
pub struct Profile {
    name: String,
    settings: ProfileSettings,
    config: Arc<ServerConfig>,
    current: Arc<Current>,
    watched: Mutex<Watched>,
}

/// What rustls asks for each handshake.
#[derive(Debug)]
struct Current(RwLock<Loaded>);

#[derive(Clone, Debug)]
struct Loaded {
    key: Arc<CertifiedKey>,
    expires: SystemTime,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().key))
    }
}

#[derive(Debug)]
struct Watched {
    /// Of the files that were tried last.
    tried: [Option<Stamp>; 2],
    /// Changed since; tried when they stay so until the next look: the two files of a pair change one after the other.
    changed: Option<[Option<Stamp>; 2]>,
    warned: Option<SystemTime>,
}

/// What tells one version of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
}

impl Profile {
    /// Reads the files.
    ///
    /// # Errors
    /// One of them can't be read or used, or they don't belong together.
    pub fn load(name: &str, settings: ProfileSettings) -> Result<Self, Error> {
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let tried = stamps(&settings);
        let loaded = read(&settings, &provider)?;
        let versions: &[_] = match settings.min_version {
            MinVersion::Tls12 => &TLS_1_2_UP,
            MinVersion::Tls13 => &TLS_1_3_UP,
        };
        let current = Arc::new(Current(RwLock::new(loaded)));
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as _);
        let watched = Mutex::new(Watched { tried, changed: None, warned: None });
        Ok(Self { name: name.to_owned(), settings, config: Arc::new(config), current, watched })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// When the certificate ends.
    pub fn expires(&self) -> SystemTime {
        self.current.0.read().expires
    }

    /// The state of a new connection.
    ///
    /// # Errors
    /// Never, with a profile that was loaded; rustls leaves it open.
    pub fn accept(&self) -> Result<Tls, Error> {
        Tls::new(Arc::clone(&self.config))
    }

    fn watch(&self, now: SystemTime) {
        let mut watched = self.watched.lock();
        let stamps = stamps(&self.settings);
        if stamps == watched.tried {
            watched.changed = None;
        } else if watched.changed == Some(stamps) {
            watched.changed = None;
            watched.tried = stamps;
            watched.warned = None;
            self.reload();
        } else {
            watched.changed = Some(stamps);
        }
        self.warn(&mut watched.warned, now);
    }

    fn reload(&self) {
        match read(&self.settings, self.config.crypto_provider()) {
            Ok(loaded) => {
                let days = days_until(loaded.expires, SystemTime::now());
                *self.current.0.write() = loaded;
                tracing::info!(
                    event = "tls.reloaded",
                    profile = self.name,
                    days,
                    "a new certificate is in use"
                );
            }
            Err(error) => tracing::error!(
                event = "tls.reload_failed", profile = self.name, %error,
                "the old certificate stays in use"
            ),
        }
    }

    fn warn(&self, warned: &mut Option<SystemTime>, now: SystemTime) {
        let expires = self.expires();
        let is_due = warned.is_none_or(|at| at + WARN_INTERVAL <= now);
        if expires > now + WARN_BEFORE || !is_due {
            return;
        }
        *warned = Some(now);
        let days = days_until(expires, now);
        let text =
            if expires <= now { "a certificate has ended" } else { "a certificate ends soon" };
        tracing::warn!(event = "tls.expiring", profile = self.name, days, "{text}");
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({})", self.name)
    }
}

/// Whole days; 0 once it is over.
fn days_until(expires: SystemTime, now: SystemTime) -> u64 {
    expires.duration_since(now).map_or(0, |left| left.as_secs() / 86_400)
}

fn stamps(settings: &ProfileSettings) -> [Option<Stamp>; 2] {
    [&settings.certificate, &settings.key].map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some(Stamp { modified: metadata.modified().ok(), len: metadata.len() })
    })
}

fn read(settings: &ProfileSettings, provider: &crypto::CryptoProvider) -> Result<Loaded, Error> {
    let ProfileSettings { certificate, key, .. } = settings;
    let pem = |path: &PathBuf| {
        let path = path.clone();
        move |source| Error::Pem { path, source }
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes(certificate)?).collect();
    let chain = chain.map_err(pem(certificate))?;
    let own = chain.first().ok_or_else(|| Error::NoCertificate { path: certificate.clone() })?;
    let expires = not_after(own)
        .map_err(|reason| Error::Certificate { path: certificate.clone(), reason })?;
    let private = PrivateKeyDer::from_pem_slice(&bytes(key)?).map_err(pem(key))?;
    let (certificate, key) = (certificate.clone(), key.clone());
    let key = CertifiedKey::from_der(chain, private, provider).map_err(|source| Error::Pair {
        certificate,
        key,
        source,
    })?;
    Ok(Loaded { key: Arc::new(key), expires })
}

fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(n) if u64::try_from(n).is_ok_and(|n| n <= FILE_BYTES_MAX) => Ok(bytes),
        Ok(_) => Err(std::io::Error::other("longer than 1 MiB")),
        Err(error) => Err(error),
    }
    .map_err(|source| Error::Read { path: path.to_owned(), source })
}
