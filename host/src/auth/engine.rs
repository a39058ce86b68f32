//! The rules of the config as the hub's [`Authorizer`].

use std::net::IpAddr;

use super::rules::{self, Decision, Request, Rule};
use crate::hub::auth::{Action, Authorizer};
use crate::hub::key::{Args, StreamKey};

/// The argument of a stream's URL that carries the secret.
const KEY_ARGUMENT: &str = "key";

/// See the module.
#[derive(Debug)]
pub struct Engine {
    rules: Vec<Rule>,
}

impl Engine {
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules }
    }
}

impl Authorizer for Engine {
    /// A plugin that acts for itself (`peer` is `None`) was switched on by the operator, and may.
    fn check(
        &self,
        action: Action,
        key: &StreamKey,
        args: &Args,
        peer: Option<IpAddr>,
    ) -> Result<(), String> {
        let Some(peer) = peer else { return Ok(()) };
        let action = match action {
            Action::Play => rules::Action::Play,
            Action::Publish => rules::Action::Publish,
        };
        let request = Request { stream: key.as_str(), action, peer, key: args.get(KEY_ARGUMENT) };
        match rules::decide(&self.rules, &request) {
            Decision::Allow => Ok(()),
            Decision::Refuse(refusal) => Err(refusal.to_string()),
        }
    }
}
