//! The entry of a plugin library: `pc_plugin` around a [`Plugin`], and the macro that exports it.
#![expect(unsafe_code, reason = "the functions that the host calls")]

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use crate::abi::core as abi;
use crate::error::{Error, Status};
use crate::ffi::{Instance, guard, size_u32, text};
use crate::host::Host;
use crate::plugin::Plugin;

/// The table that the entry symbol returns. Static, pure.
#[derive(Debug)]
pub struct Entry(abi::Plugin);

// SAFETY: the table is constant, and its texts are static.
unsafe impl Sync for Entry {}

impl Entry {
    /// The table of `P`; `version` must equal the manifest's.
    pub const fn new<P: Plugin>(version: &'static str) -> Self {
        Self(abi::Plugin {
            struct_size: size_u32::<abi::Plugin>(),
            abi_minor: abi::ABI_MINOR,
            id: abi::Str { data: P::ID.as_ptr(), len: P::ID.len() },
            version: abi::Str { data: version.as_ptr(), len: version.len() },
            create: Some(create::<P>),
            activate: Some(activate::<P>),
            deactivate: Some(deactivate::<P>),
            destroy: Some(destroy::<P>),
            get_interface: None,
        })
    }

    /// As the entry symbol returns it.
    pub const fn table(&'static self) -> &'static abi::Plugin {
        &self.0
    }
}

/// What `self` of the table points to.
struct State<P> {
    instance: Arc<Instance>,
    plugin: P,
}

unsafe extern "C" fn create<P: Plugin>(
    host: *const abi::Host,
    instance: abi::Str,
    config_json: abi::Str,
    this: *mut *mut c_void,
) -> abi::Status {
    let Some(raw) = NonNull::new(host.cast_mut()).filter(|_| !this.is_null()) else {
        return abi::E_INVALID;
    };
    // SAFETY: core.h: lent for the call.
    let name = unsafe { text(instance) }.into_owned();
    // SAFETY: core.h: lent for the call.
    let config_json = unsafe { text(config_json) };
    // SAFETY: core.h: valid until destroy returns.
    let instance = unsafe { Instance::new(raw, name) };
    guard::install(&instance);
    let status = guard::status(&instance, || {
        let json = if config_json.is_empty() { "{}" } else { &config_json };
        let config =
            serde_json::from_str(json).map_err(|error| Error::invalid(error.to_string()))?;
        let host = Host { instance: Arc::clone(&instance) };
        let plugin = P::create(host, config).map_err(Into::into)?;
        let state = Box::new(State { instance: Arc::clone(&instance), plugin });
        // SAFETY: core.h: `this` is the host's, writable for the call; tested for NULL above.
        unsafe { this.write(Box::into_raw(state).cast()) };
        Ok(Status::OK)
    });
    if status != abi::OK {
        instance.end();
    }
    status
}

unsafe extern "C" fn activate<P: Plugin>(this: *mut c_void) -> abi::Status {
    // SAFETY: core.h: what `create` gave, before destroy; sessions of the plugin don't have it, so sharing is enough.
    let Some(State { instance, plugin }) = (unsafe { this.cast::<State<P>>().as_ref() }) else {
        return abi::E_INVALID;
    };
    guard::status(instance, || plugin.activate().map(|()| Status::OK).map_err(Into::into))
}

unsafe extern "C" fn deactivate<P: Plugin>(this: *mut c_void, deadline_ns: u64) -> abi::Status {
    // SAFETY: as in `activate`.
    let Some(State { instance, plugin }) = (unsafe { this.cast::<State<P>>().as_ref() }) else {
        return abi::E_INVALID;
    };
    guard::status(instance, || {
        plugin.deactivate(Duration::from_nanos(deadline_ns));
        Ok(Status::OK)
    })
}

unsafe extern "C" fn destroy<P: Plugin>(this: *mut c_void) {
    if this.is_null() {
        return;
    }
    // SAFETY: core.h: the last call for what `create` gave.
    let state = unsafe { Box::from_raw(this.cast::<State<P>>()) };
    let State { instance, plugin } = *state;
    // The panic was logged by the hook.
    guard::enter(&instance, || plugin.destroy()).ok();
    instance.end();
}

/// Exports a [`Plugin`] as a library of the host: the manifest and the entry symbol, nothing else. Once per crate, in `lib.rs`.
///
/// ```text
/// export_plugin!(Rtmp, schema: "config.schema.json", vendor: "Plugcast", requires: ["pc.net/1"], optional: [],
///     protocols: ["rtmp"], schemes: ["rtmp"], formats: ["rtmp"], codecs: []);
/// ```
///
/// `schema` is a path from the crate's root; a test that the macro makes compares the file with the config type, and
/// `UPDATE_GOLDEN=1 cargo test` writes it. What follows may be left out, in this order. Version and licence are Cargo's.
#[macro_export]
macro_rules! export_plugin {
    (
        $plugin:ident, schema: $schema:literal
        $(, vendor: $vendor:literal)?
        $(, requires: [$($requires:literal),* $(,)?])?
        $(, optional: [$($optional:literal),* $(,)?])?
        $(, protocols: [$($protocols:literal),* $(,)?])?
        $(, schemes: [$($schemes:literal),* $(,)?])?
        $(, formats: [$($formats:literal),* $(,)?])?
        $(, codecs: [$($codecs:literal),* $(,)?])?
        $(,)?
    ) => {
        #[doc(hidden)]
        #[allow(unsafe_code, reason = "the two exported symbols, made by export_plugin!")]
        mod plugcast_export {
            use super::$plugin;

            const MANIFEST: $crate::manifest::Manifest<'static> = $crate::manifest::Manifest {
                id: <$plugin as $crate::Plugin>::ID,
                name: <$plugin as $crate::Plugin>::NAME,
                version: env!("CARGO_PKG_VERSION"),
                vendor: concat!($($vendor)?),
                licence: env!("CARGO_PKG_LICENSE"),
                requires: &[$($($requires),*)?],
                optional: &[$($($optional),*)?],
                protocols: &[$($($protocols),*)?],
                schemes: &[$($($schemes),*)?],
                formats: &[$($($formats),*)?],
                codecs: &[$($($codecs),*)?],
                config_schema: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $schema)),
                profile: if cfg!(debug_assertions) { "debug" } else { "release" },
            };

            static ENTRY: $crate::export::Entry =
                $crate::export::Entry::new::<$plugin>(env!("CARGO_PKG_VERSION"));

            #[unsafe(no_mangle)]
            static PLUGCAST_MANIFEST: $crate::manifest::Blob<{ MANIFEST.json_len() }> =
                $crate::manifest::Blob::new(&MANIFEST);

            #[unsafe(no_mangle)]
            extern "C" fn plugcast_plugin_v0() -> *const $crate::abi::core::Plugin {
                ENTRY.table()
            }

            #[cfg(test)]
            #[test]
            fn config_schema_is_current() {
                $crate::schema::check_schema::<$plugin>(concat!(env!("CARGO_MANIFEST_DIR"), "/", $schema));
            }
        }
    };
}
