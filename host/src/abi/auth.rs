//! `pc.auth/1`.

use plugin_api::abi::auth::{ACTION_PLAY, ACTION_PUBLISH, AuthApi, AuthRequest};
use plugin_api::abi::core::{E_DENIED, Host, OK, Status, Waker};

use super::call::{Fault, call};
use super::{borrow, net};
use crate::hub::auth::Action;
use crate::hub::key;

pub(super) static API: AuthApi = AuthApi {
    struct_size: super::size_of_table::<AuthApi>(),
    revision: 1,
    poll_check: Some(poll_check),
};

unsafe extern "C" fn poll_check(
    host: *const Host,
    request: *const AuthRequest,
    _waker: *mut Waker,
) -> Status {
    call(host, |instance| {
        let request = borrow::sized(request, "request")?;
        let action = match request.action {
            ACTION_PLAY => Action::Play,
            ACTION_PUBLISH => Action::Publish,
            other => return Err(Fault::invalid(format!("action {other} is unknown"))),
        };
        let (key, args) = key::parse(borrow::text(request.url, "url")?)
            .map_err(|error| Fault::invalid(error.to_string()))?;
        let (peer, _) = net::peer(instance, request.conn)?;
        let answer = instance.services.authorizer.check(action, &key, &args, net::ip(peer));
        answer.map_err(|reason| Fault::new(E_DENIED, reason))?;
        Ok(OK)
    })
}
