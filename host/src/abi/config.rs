//! `pc.config/1`.

use plugin_api::abi::config::ConfigApi;
use plugin_api::abi::core::{Host, OK, Status, Str};

use super::borrow;
use super::call::call;

pub(super) static API: ConfigApi =
    ConfigApi { struct_size: super::size_of_table::<ConfigApi>(), revision: 1, get: Some(get) };

unsafe extern "C" fn get(host: *const Host, json: *mut Str) -> Status {
    call(host, |instance| {
        borrow::put(json, borrow::lend(&instance.config), "json")?;
        Ok(OK)
    })
}
