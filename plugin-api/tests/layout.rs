//! The Rust mirror has the layout of the headers.
//!
//! A C program made from the table below prints what the C compiler makes of every struct, field and constant. That text is
//! compared with what Rust makes of the mirror and with the checked-in `layout/x86_64-linux.txt`, so that neither side can
//! drift, nor both together. `UPDATE_GOLDEN=1` rewrites the golden file and `hash.h`.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "a test; its helpers stand outside of the test functions")]

use std::fmt::Write as _;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

use plugin_api::abi;

/// One struct: C name, size, alignment, fields with their offsets.
type Struct = (&'static str, usize, usize, Vec<(&'static str, usize)>);

macro_rules! structs {
    ($($c:ident = $module:ident :: $rust:ident { $($field:ident),* $(,)? })*) => {
        vec![$((
            stringify!($c),
            size_of::<abi::$module::$rust>(),
            align_of::<abi::$module::$rust>(),
            vec![$((stringify!($field), offset_of!(abi::$module::$rust, $field))),*],
        )),*]
    };
}

macro_rules! constants {
    ($($c:ident = $($rust:ident)::+;)*) => { vec![$((stringify!($c), abi::$($rust)::+ as i64)),*] };
}

fn structs() -> Vec<Struct> {
    structs! {
        pc_str = core::Str { data, len }
        pc_field = core::Field { key, value }
        pc_waker_vtable = core::WakerVtable { retain, release, wake }
        pc_waker = core::Waker { vtable }
        pc_future_vtable = core::FutureVtable { struct_size, revision, poll, drop }
        pc_future = core::Future { vtable, ctx }
        pc_host = core::Host {
            struct_size, abi_minor, ctx, server_name, server_version, get_interface, set_error, last_error, close,
        }
        pc_plugin = core::Plugin {
            struct_size, abi_minor, id, version, create, activate, deactivate, destroy, get_interface,
        }
        pc_manifest_head = core::ManifestHead { magic, format, length, crc, reserved }
        pc_mem_vtable = mem::MemVtable { retain, release }
        pc_mem = mem::Mem { vtable }
        pc_buf = mem::Buf { data, len, mem }
        pc_mem_api = mem::MemApi { struct_size, revision, alloc }
        pc_log_api = log::LogApi { struct_size, revision, enabled, write }
        pc_metrics_api = metrics::MetricsApi { struct_size, revision, add, record }
        pc_config_api = config::ConfigApi { struct_size, revision, get }
        pc_thread_vtable = exec::ThreadVtable { struct_size, revision, run, drop }
        pc_exec_api = exec::ExecApi {
            struct_size, revision, now, spawn, poll_task, thread, blocking, thread_waker, park, timer, poll_timer,
        }
        pc_retry = tasks::Retry { struct_size, count, interval, interval_max, steady }
        pc_task_vtable = tasks::TaskVtable { struct_size, revision, attempt, drop }
        pc_tasks_api = tasks::TasksApi { struct_size, revision, job, run, describe, progress }
        pc_addr = net::Addr { ip, scope, port, family }
        pc_tcp_listen = net::TcpListen { struct_size, flags, address, protocol, publish_url, play_url, default_port, proxy_protocol, tls }
        pc_conn_info = net::ConnInfo { struct_size, flags, id, peer, local, bytes_in, bytes_out }
        pc_net_api = net::NetApi {
            struct_size, revision, tcp_listen, listener_addr, poll_accept, tcp_connect, poll_connect, poll_read,
            poll_write, poll_shutdown, conn_info,
        }
        pc_track = streams::Track {
            struct_size, id, kind, codec, config_number, width, height, frame_rate_num, frame_rate_den, sample_rate,
            channels, reserved, config, codec_string,
        }
        pc_shape = streams::Shape { struct_size, number, n_tracks, flags, tracks }
        pc_frame = streams::Frame {
            struct_size, track, config, flags, dts, pts, duration, captured, n_parts, reserved, parts,
        }
        pc_publish = streams::Publish { struct_size, flags, url, conn, protocol, agent }
        pc_subscribe = streams::Subscribe { struct_size, kind, url, conn, protocol, start, flags, wait }
        pc_batch = streams::Batch { struct_size, n_frames, shape, frames, lost }
        pc_streams_api = streams::StreamsApi {
            struct_size, revision, publish, poll_publish, set_tracks, push, ready, finish, poll_notice, subscribe,
            poll_subscribe, poll_read,
        }
        pc_packet = feeds::Packet { struct_size, flags, dts, head, n_parts, parts }
        pc_feed_out = feeds::FeedOut { struct_size, revision, set_head, write }
        pc_packager_vtable = feeds::PackagerVtable { struct_size, revision, open, on_shape, on_frames, close, drop }
        pc_prepare = feeds::Prepare { struct_size, flags, url, format, variant, conn, agent, wait }
        pc_detached = feeds::Detached { struct_size, reason, bytes, skipped }
        pc_feeds_api = feeds::FeedsApi {
            struct_size, revision, register_packager, prepare, poll_prepared, attach, inject, detach, poll_detached,
        }
        pc_http_route = http::Route {
            struct_size, access, methods, flags, pattern, protocol, play_url, body_max, reserved, deadline,
        }
        pc_http_route_vtable = http::RouteVtable { struct_size, revision, on_request, drop }
        pc_http_request = http::Request {
            struct_size, method, flags, reserved, conn, peer, path, query, body, body_len,
        }
        pc_http_head = http::Head { struct_size, status, n_headers, reserved, headers }
        pc_http_api = http::HttpApi {
            struct_size, revision, route, request, param, header, poll_gone, answer, refuse, begin, poll_write, finish,
            attach,
        }
        pc_auth_request = auth::AuthRequest { struct_size, action, url, conn, protocol }
        pc_auth_api = auth::AuthApi { struct_size, revision, poll_check }
    }
}

fn constants() -> Vec<(&'static str, i64)> {
    constants! {
        PC_ABI_MAJOR = core::ABI_MAJOR; PC_ABI_MINOR = core::ABI_MINOR;
        PC_OK = core::OK; PC_PENDING = core::PENDING; PC_END = core::END; PC_DROPPED = core::DROPPED;
        PC_E_INVALID = core::E_INVALID; PC_E_HANDLE = core::E_HANDLE; PC_E_UNSUPPORTED = core::E_UNSUPPORTED;
        PC_E_LIMIT = core::E_LIMIT; PC_E_STATE = core::E_STATE; PC_E_IO = core::E_IO; PC_E_TIMEOUT = core::E_TIMEOUT;
        PC_E_CANCELLED = core::E_CANCELLED; PC_E_DENIED = core::E_DENIED; PC_E_NO_MEMORY = core::E_NO_MEMORY;
        PC_E_PANIC = core::E_PANIC; PC_E_INTERNAL = core::E_INTERNAL; PC_E_NOT_FOUND = core::E_NOT_FOUND;
        PC_E_CONFLICT = core::E_CONFLICT; PC_MANIFEST_MAX = core::MANIFEST_MAX;
        PC_MEM_BLOCK_MAX = mem::BLOCK_MAX;
        PC_LOG_ERROR = log::ERROR; PC_LOG_WARN = log::WARN; PC_LOG_INFO = log::INFO; PC_LOG_DEBUG = log::DEBUG;
        PC_LOG_TRACE = log::TRACE;
        PC_METRIC_COUNTER = metrics::COUNTER; PC_METRIC_GAUGE = metrics::GAUGE;
        PC_METRIC_HISTOGRAM = metrics::HISTOGRAM; PC_METRICS_MAX = metrics::METRICS_MAX;
        PC_THREADS_MAX = exec::THREADS_MAX;
        PC_PROXY_OFF = net::PROXY_OFF; PC_PROXY_OPTIONAL = net::PROXY_OPTIONAL;
        PC_PROXY_REQUIRED = net::PROXY_REQUIRED; PC_CONN_TLS = net::CONN_TLS;
        PC_AUDIO = streams::AUDIO; PC_VIDEO = streams::VIDEO; PC_DATA = streams::DATA;
        PC_TRACKS_MAX = streams::TRACKS_MAX; PC_SHAPE_SETTLED = streams::SHAPE_SETTLED;
        PC_SHAPE_DISCONTINUITY = streams::SHAPE_DISCONTINUITY;
        PC_FRAME_KEY = streams::FRAME_KEY; PC_FRAME_DISCONTINUITY = streams::FRAME_DISCONTINUITY;
        PC_FRAME_DROPPABLE = streams::FRAME_DROPPABLE; PC_FRAME_STICKY = streams::FRAME_STICKY;
        PC_FRAME_PARTS_MAX = streams::FRAME_PARTS_MAX; PC_FRAME_BYTES_MAX = streams::FRAME_BYTES_MAX;
        PC_NOTICE_FIRST_READER = streams::NOTICE_FIRST_READER; PC_NOTICE_LAST_READER = streams::NOTICE_LAST_READER;
        PC_NOTICE_KEYFRAME_WANTED = streams::NOTICE_KEYFRAME_WANTED;
        PC_REASON_ASKED = streams::REASON_ASKED; PC_REASON_ENDED = streams::REASON_ENDED;
        PC_REASON_REPLACED = streams::REASON_REPLACED; PC_REASON_STOPPED = streams::REASON_STOPPED;
        PC_REASON_TIMEOUT = streams::REASON_TIMEOUT; PC_REASON_LAGGED = streams::REASON_LAGGED;
        PC_REASON_STALLED = streams::REASON_STALLED; PC_REASON_PEER_CLOSED = streams::REASON_PEER_CLOSED;
        PC_REASON_ERROR = streams::REASON_ERROR; PC_REASON_IDLE = streams::REASON_IDLE;
        PC_REASON_LOST = streams::REASON_LOST;
        PC_READER_PLAYER = streams::READER_PLAYER; PC_READER_RECORDER = streams::READER_RECORDER;
        PC_READER_PUSHER = streams::READER_PUSHER; PC_READER_SNAPSHOT = streams::READER_SNAPSHOT;
        PC_START_NEWEST = streams::START_NEWEST; PC_START_LIVE = streams::START_LIVE;
        PC_START_OLDEST = streams::START_OLDEST;
        PC_PACKET_START_POINT = feeds::PACKET_START_POINT; PC_PACKET_DROPPABLE = feeds::PACKET_DROPPABLE;
        PC_PACKET_BYTES_MAX = feeds::PACKET_BYTES_MAX; PC_HEAD_BYTES_MAX = feeds::HEAD_BYTES_MAX;
        PC_VARIANT_MAX = feeds::VARIANT_MAX; PC_INJECT_BYTES_MAX = feeds::INJECT_BYTES_MAX;
        PC_PREPARED_SECONDS = feeds::PREPARED_SECONDS;
        PC_HTTP_GET = http::GET; PC_HTTP_POST = http::POST; PC_HTTP_PUT = http::PUT; PC_HTTP_PATCH = http::PATCH;
        PC_HTTP_DELETE = http::DELETE; PC_HTTP_ADMIN = http::ADMIN; PC_HTTP_MEDIA = http::MEDIA; PC_HTTP_OPEN = http::OPEN;
        PC_HTTP_WEBSOCKET = http::WEBSOCKET; PC_HTTP_BODY_MAX = http::BODY_MAX;
        PC_HTTP_DEADLINE_SECONDS = http::DEADLINE_SECONDS; PC_HTTP_HEADERS_MAX = http::HEADERS_MAX;
        PC_HTTP_QUEUE_BYTES_MAX = http::QUEUE_BYTES_MAX;
        PC_ACTION_PUBLISH = auth::ACTION_PUBLISH; PC_ACTION_PLAY = auth::ACTION_PLAY;
    }
}

const IDS: [(&str, &str); 14] = [
    ("PC_AUTH_ID", abi::auth::ID),
    ("PC_CONFIG_ID", abi::config::ID),
    ("PC_ENTRY_SYMBOL", abi::core::ENTRY_SYMBOL),
    ("PC_EXEC_ID", abi::exec::ID),
    ("PC_FEEDS_ID", abi::feeds::ID),
    ("PC_HEADER_HASH", abi::hash::HEADER_HASH),
    ("PC_HTTP_ID", abi::http::ID),
    ("PC_LOG_ID", abi::log::ID),
    ("PC_MANIFEST_SYMBOL", abi::core::MANIFEST_SYMBOL),
    ("PC_MEM_ID", abi::mem::ID),
    ("PC_METRICS_ID", abi::metrics::ID),
    ("PC_NET_ID", abi::net::ID),
    ("PC_STREAMS_ID", abi::streams::ID),
    ("PC_TASKS_ID", abi::tasks::ID),
];

#[test]
fn the_header_hash_is_that_of_the_headers() {
    let path = include_dir().join("plugcast/hash.h");
    let expected = format!("#define PC_HEADER_HASH \"{}\"\n", abi::hash::HEADER_HASH);

    compare_golden(&path, &expected);
}

#[test]
fn the_mirror_has_the_layout_of_the_headers() {
    let rust = rust_layout();

    assert_eq!(rust, c_layout(), "the mirror (left) and the headers (right) differ");
    compare_golden(&root().join("layout/x86_64-linux.txt"), &rust);
}

#[test]
fn the_table_above_misses_no_struct_and_no_constant() {
    let mut text = String::new();
    for entry in std::fs::read_dir(include_dir().join("plugcast")).unwrap() {
        text += &std::fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    let structs: Vec<&str> = structs().iter().map(|(name, ..)| *name).collect();
    let values: Vec<&str> = constants().iter().map(|(name, _)| *name).collect();
    let words = |text: &str| {
        text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect()
    };

    let mut missing = Vec::new();
    for line in text.lines() {
        let parts: Vec<String> = words(line);
        let declares = line.ends_with('{')
            && (line.starts_with("typedef struct") || line.starts_with("struct"));
        let name = parts.iter().find(|word| word.starts_with("pc_"));
        if declares && name.is_none_or(|name| !structs.contains(&name.as_str())) {
            missing.push(line.to_owned());
        }
        let Some(name) =
            line.strip_prefix("#define ").and_then(|rest| rest.split([' ', '(']).next())
        else {
            continue;
        };
        let is_value = line.starts_with(&format!("#define {name} ")) && name != "PC_EXPORT";
        let known = values.contains(&name) || IDS.iter().any(|(id, _)| *id == name);
        if is_value && !known {
            missing.push(line.to_owned());
        }
    }

    assert!(missing.is_empty(), "not compared: {missing:#?}");
}

#[test]
fn headers_compile_as_c11_and_cpp17_without_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    for (compiler, standard, file) in
        [("cc", "-std=c11", "all.c"), ("c++", "-std=c++17", "all.cpp")]
    {
        let source = dir.path().join(file);
        let manifest = "PC_EXPORT extern const pc_manifest_head manifest;\n\
                        const pc_manifest_head manifest = PC_MANIFEST_HEAD(2);\n";
        std::fs::write(&source, format!("#include <plugcast/plugcast.h>\n{manifest}")).unwrap();
        compile(
            compiler,
            &[standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"],
            &source,
            &[],
        );

        for entry in std::fs::read_dir(include_dir().join("plugcast")).unwrap() {
            let header = entry.unwrap().file_name().into_string().unwrap();
            std::fs::write(
                &source,
                format!("#include <plugcast/{header}>\n#include <plugcast/{header}>\n"),
            )
            .unwrap();
            compile(
                compiler,
                &[standard, "-Wall", "-Wextra", "-Werror", "-fsyntax-only"],
                &source,
                &[],
            );
        }
    }
}

#[test]
fn the_c_plugin_of_the_readme_compiles() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let code = readme.split("```c\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (source, library) = (dir.path().join("hello.c"), dir.path().join("libhello.so"));
    std::fs::write(&source, code).unwrap();

    let flags =
        ["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden"];
    compile("cc", &flags, &source, &["-o", library.to_str().unwrap()]);

    let bytes = std::fs::read(&library).unwrap();
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("PLUGCAST_MANIFEST") && has("plugcast_plugin_v0"));
    assert!(has(&format!("\"header_hash\":\"{}\"", abi::hash::HEADER_HASH)));
}

fn rust_layout() -> String {
    let mut text = String::new();
    for (name, size, align, fields) in structs() {
        writeln!(text, "{name} size {size} align {align}").unwrap();
        for (field, offset) in fields {
            writeln!(text, "  {offset} {field}").unwrap();
        }
    }
    for (name, value) in constants() {
        writeln!(text, "{name} {value}").unwrap();
    }
    for (name, value) in IDS.iter().filter(|(name, _)| *name != "PC_HEADER_HASH") {
        writeln!(text, "{name} {value}").unwrap();
    }
    text
}

fn c_layout() -> String {
    let mut source =
        String::from("#include <plugcast/plugcast.h>\n#include <stdio.h>\nint main(void) {\n");
    for (name, _, _, fields) in structs() {
        let size = format!("(int)sizeof({name}), (int)_Alignof({name})");
        writeln!(source, "  printf(\"{name} size %d align %d\\n\", {size});").unwrap();
        for (field, _) in fields {
            writeln!(source, "  printf(\"  %d {field}\\n\", (int)offsetof({name}, {field}));")
                .unwrap();
        }
    }
    for (name, _) in constants() {
        writeln!(source, "  printf(\"{name} %lld\\n\", (long long)({name}));").unwrap();
    }
    for (name, _) in IDS.iter().filter(|(name, _)| *name != "PC_HEADER_HASH") {
        writeln!(source, "  printf(\"{name} %s\\n\", {name});").unwrap();
    }
    source += "  return 0;\n}\n";

    let dir = tempfile::tempdir().unwrap();
    let (file, program) = (dir.path().join("layout.c"), dir.path().join("layout"));
    std::fs::write(&file, source).unwrap();
    compile("cc", &["-std=c11", "-Wall", "-Werror"], &file, &["-o", program.to_str().unwrap()]);
    let output = Command::new(&program).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn compile(compiler: &str, flags: &[&str], source: &Path, rest: &[&str]) {
    let output = Command::new(compiler)
        .args(flags)
        .arg("-I")
        .arg(include_dir())
        .arg(source)
        .args(rest)
        .output();
    let output =
        output.unwrap_or_else(|error| panic!("{compiler}: {error} (package: build-essential)"));
    assert!(output.status.success(), "{compiler}: {}", String::from_utf8_lossy(&output.stderr));
}

fn compare_golden(path: &Path, actual: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, actual).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        golden,
        actual,
        "{} (left) is out of date; UPDATE_GOLDEN=1 rewrites it",
        path.display()
    );
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn include_dir() -> PathBuf {
    root().join("include")
}
