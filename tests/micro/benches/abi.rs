//! What it costs to cross the C ABI: the same call straight, and through the host's table and the safe API.
#![expect(clippy::unwrap_used, reason = "a measurement ends where its setup fails")]

use std::hint::black_box;
use std::sync::OnceLock;

use criterion::{Criterion, criterion_group, criterion_main};
use plugin_api::mem::{Account, Pool};
use plugin_api::testing::FakeHost;
use plugin_api::{Error, Host, Plugin};

/// An audio frame.
const PAYLOAD: [u8; 340] = [0; 340];

static HOST: OnceLock<Host> = OnceLock::new();

/// Hands its host out.
struct Idle;

impl Plugin for Idle {
    const ID: &'static str = "idle";

    type Config = ();
    type Error = Error;

    fn create(host: Host, (): ()) -> Result<Self, Error> {
        HOST.get_or_init(|| host);
        Ok(Self)
    }
}

fn copy(c: &mut Criterion) {
    let pool = Pool::new(Account::new(usize::MAX));
    c.bench_function("abi: copy an audio frame into host memory, straight", |b| {
        b.iter(|| black_box(pool.copy(&[&PAYLOAD]).unwrap()));
    });
    let fake = FakeHost::new();
    let _running = fake.start::<Idle>("null").unwrap();
    let host = HOST.get().unwrap();
    c.bench_function("abi: copy an audio frame into host memory, through the table", |b| {
        b.iter(|| black_box(host.copy(&PAYLOAD).unwrap()));
    });
}

criterion_group!(abi, copy);
criterion_main!(abi);
