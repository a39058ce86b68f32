//! The only place that opens a shared library. Code is never unmapped: a library stays until the process ends.
#![expect(unsafe_code, reason = "dlopen, and the plugin's static table")]

use std::path::Path;

use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};
use plugin_api::abi::core as abi;

use super::manifest::Manifest;

/// A plugin's table: static, valid for the life of the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Library(&'static abi::Plugin);

// SAFETY: core.h: the entry function returns static data that never changes.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

impl Library {
    /// Opens the file, calls its entry function and checks the table against the manifest.
    pub(crate) fn open(path: &Path, manifest: &Manifest) -> Result<Self, String> {
        // SAFETY: runs the library's initialisers: operators put only libraries that they trust into the plugins folder.
        let handle = unsafe { Handle::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
        let handle = handle.map_err(|error| format!("can't be loaded: {error}"))?;
        // SAFETY: core.h gives the entry symbol this type.
        let entry = unsafe { handle.get::<abi::Entry>(abi::ENTRY_SYMBOL.as_bytes()) };
        let entry = *entry.map_err(|_| format!("has no function {}", abi::ENTRY_SYMBOL))?;
        std::mem::forget(handle);
        // SAFETY: core.h: the entry function is pure.
        let table = unsafe { entry() };
        Self::check(table, manifest).map(Self)
    }

    fn check(
        table: *const abi::Plugin,
        manifest: &Manifest,
    ) -> Result<&'static abi::Plugin, String> {
        if table.is_null() || !table.is_aligned() {
            return Err("its entry function returned no table".into());
        }
        // SAFETY: core.h: a static table that begins with struct_size.
        let size = unsafe { table.cast::<u32>().read() };
        if usize::try_from(size).unwrap_or(0) < size_of::<abi::Plugin>() {
            return Err(format!(
                "its table has struct_size {size}, {} is needed",
                size_of::<abi::Plugin>()
            ));
        }
        // SAFETY: static, and as long as its size says.
        let table = unsafe { &*table };
        let calls = [
            table.create.is_some(),
            table.activate.is_some(),
            table.deactivate.is_some(),
            table.destroy.is_some(),
        ];
        if calls.contains(&false) {
            return Err("its table lacks one of create, activate, deactivate, destroy".into());
        }
        for (what, said, stated) in
            [("id", &table.id, &manifest.id), ("version", &table.version, &manifest.version)]
        {
            let said =
                static_text(said).ok_or_else(|| format!("its table's {what} is not text"))?;
            if said != stated {
                return Err(format!("its table says {what} {said:?}, its manifest {stated:?}"));
            }
        }
        Ok(table)
    }

    pub(crate) fn table(self) -> &'static abi::Plugin {
        self.0
    }
}

fn static_text(text: &abi::Str) -> Option<&'static str> {
    const TEXT_MAX: usize = 256;
    if text.data.is_null() || text.len > TEXT_MAX {
        return None;
    }
    // SAFETY: core.h: the table and what it points to are static.
    let bytes = unsafe { std::slice::from_raw_parts(text.data, text.len) };
    std::str::from_utf8(bytes).ok()
}
