//! Real handshakes over loopback: what a session sees, what a fan-out thread does, and what happens to files.

use std::fs;
use std::io::{IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto};
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::{Error, MinVersion, Profile, ProfileSettings, Profiles};
use crate::net::{Borrower, CloseReason, Conn, ListenOptions, Net};

const DEADLINE: Duration = Duration::from_secs(10);

struct Nobody;

impl Borrower for Nobody {
    fn resume_reading(&self) {}
    fn close(&self, _: CloseReason) {}
}

pub(crate) fn write_pair(folder: &Path, year: i32) -> ProfileSettings {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = date_time_ymd(year, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    let settings = ProfileSettings {
        certificate: folder.join("cert.pem"),
        key: folder.join("key.pem"),
        min_version: MinVersion::Tls12,
    };
    fs::write(&settings.certificate, certificate.pem()).unwrap();
    fs::write(&settings.key, key.serialize_pem()).unwrap();
    settings
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) type Client = StreamOwned<ClientConnection, TcpStream>;

/// A client that trusts the certificate in `settings`; its handshake has not begun.
pub(crate) fn client(settings: &ProfileSettings, socket: TcpStream) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&settings.certificate).unwrap()).unwrap();
    let config =
        ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), socket)
}

async fn pair(folder: &TempDir) -> (Arc<Conn>, Client) {
    let settings = write_pair(folder.path(), 2100);
    let profile = Profile::load("site", settings.clone()).unwrap();
    let options = ListenOptions { tls: Some(Arc::new(profile)), ..ListenOptions::default() };
    let listener = Net::new(Handle::current()).listen_with("127.0.0.1:0", options).unwrap();
    let socket = TcpStream::connect(listener.local_addr()).unwrap();
    (listener.accept().await.unwrap(), client(&settings, socket))
}

async fn read(conn: &Conn, len: usize) -> Vec<u8> {
    let mut buf = vec![0; len];
    let read = std::future::poll_fn(|cx| conn.poll_read(cx, &mut buf));
    let n = tokio::time::timeout(DEADLINE, read).await.expect("bytes to read").unwrap();
    buf.truncate(n);
    buf
}

async fn write_all(conn: &Conn, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let write = std::future::poll_fn(|cx| conn.poll_write(cx, &[IoSlice::new(bytes)]));
        let n = tokio::time::timeout(DEADLINE, write).await.expect("room to write").unwrap();
        bytes = &bytes[n..];
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_reads_and_writes_plain_bytes() {
    let folder = TempDir::new().unwrap();
    let (conn, mut client) = pair(&folder).await;
    let media: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let expected = media.clone();
    let theirs = tokio::task::spawn_blocking(move || {
        client.write_all(b"hello").unwrap();
        let mut all = vec![0; expected.len()];
        client.read_exact(&mut all).unwrap();
        assert!(all == expected);
        // An orderly end, not a cut one.
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
        client.write_all(b"bye").unwrap();
        client.conn.send_close_notify();
        client.flush().unwrap();
    });

    assert!(conn.is_tls());
    assert_eq!(read(&conn, 100).await, b"hello");
    write_all(&conn, &media).await;
    std::future::poll_fn(|cx| conn.poll_shutdown(cx)).await.unwrap();

    assert_eq!(read(&conn, 100).await, b"bye");
    assert_eq!(read(&conn, 100).await, b"");
    theirs.await.unwrap();
    assert_eq!((conn.bytes_in(), conn.bytes_out()), (8, 3_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_travels_with_the_socket() {
    let folder = TempDir::new().unwrap();
    let (conn, mut client) = pair(&folder).await;
    assert!(conn.lend(Arc::new(Nobody)).is_err(), "not before the handshake is through");
    let theirs = tokio::task::spawn_blocking(move || {
        client.write_all(b"play").unwrap();
        let mut got = [0; 10];
        client.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"lent, back");
        client.write_all(b"pong").unwrap();
        client
    });
    assert_eq!(read(&conn, 4).await, b"play");

    let mut lent = conn.lend(Arc::new(Nobody)).unwrap();
    let tls = lent.tls.as_mut().unwrap();
    assert_eq!(tls.write(&[IoSlice::new(b"le"), IoSlice::new(b"nt, ")]), 6);
    conn.give_back(lent);
    write_all(&conn, b"back").await;

    assert_eq!(read(&conn, 10).await, b"pong");
    drop(theirs.await.unwrap());
    assert_eq!(read(&conn, 10).await, b"", "an end without a word is an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_emptied_the_socket_hears_of_later_bytes_and_of_the_end() {
    let folder = TempDir::new().unwrap();
    let (conn, mut client) = pair(&folder).await;
    // Longer than what rustls reads at a time, so that a read ends in the middle of what is there.
    let long: Vec<u8> = (0..50_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let expected = long.clone();
    let (go, gone) = mpsc::channel();
    let theirs = tokio::task::spawn_blocking(move || {
        for bytes in [&b"one"[..], &long, b"two"] {
            client.write_all(bytes).unwrap();
            gone.recv().unwrap();
        }
        client.sock.shutdown(Shutdown::Write).unwrap();
        client
    });

    for bytes in [&b"one"[..], &expected, b"two"] {
        let mut got = Vec::new();
        while got.len() < bytes.len() {
            got.extend(read(&conn, bytes.len() - got.len()).await);
        }
        assert!(got == bytes);
        go.send(()).unwrap();
    }
    assert_eq!(read(&conn, 10).await, b"");
    drop(theirs.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tls_is_an_error() {
    let folder = TempDir::new().unwrap();
    let (conn, mut client) = pair(&folder).await;

    client.sock.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();

    let mut buf = [0; 10];
    let read = std::future::poll_fn(|cx| conn.poll_read(cx, &mut buf));
    assert!(tokio::time::timeout(DEADLINE, read).await.expect("an end").is_err());
}

#[test]
fn new_files_are_used_once_they_are_whole() {
    let folder = TempDir::new().unwrap();
    let settings = write_pair(folder.path(), 2100);
    let profiles = Profiles::load([("site".to_owned(), settings.clone())]).unwrap();
    let expiry = || seconds(profiles.get("site").unwrap().expires());
    let look = || profiles.watch(SystemTime::now());
    assert_eq!(expiry(), 4_102_444_800);

    let good = fs::read(&settings.key).unwrap();
    fs::write(&settings.key, "this is no key").unwrap();
    look();
    look();
    assert_eq!(expiry(), 4_102_444_800, "bad files keep the old ones");

    fs::write(&settings.key, good).unwrap();
    write_pair(folder.path(), 2101);
    look();
    assert_eq!(expiry(), 4_102_444_800, "they may still be being written");
    look();
    assert_eq!(expiry(), 4_133_980_800);
}

#[test]
fn says_what_is_wrong_with_files() {
    let folder = TempDir::new().unwrap();
    let settings = write_pair(folder.path(), 2100);
    let other = TempDir::new().unwrap();
    let foreign = write_pair(other.path(), 2100);
    let load = |settings: ProfileSettings| Profile::load("site", settings).unwrap_err();

    let missing = ProfileSettings { key: folder.path().join("nothing"), ..settings.clone() };
    assert!(matches!(load(missing), Error::Read { .. }));
    let swapped = ProfileSettings { certificate: settings.key.clone(), ..settings.clone() };
    assert!(matches!(load(swapped), Error::NoCertificate { .. }));
    let no_key = ProfileSettings { key: settings.certificate.clone(), ..settings.clone() };
    assert!(matches!(load(no_key), Error::Pem { .. }));
    let strangers = ProfileSettings { key: foreign.key.clone(), ..settings };
    assert!(matches!(load(strangers), Error::Pair { .. }));
}
