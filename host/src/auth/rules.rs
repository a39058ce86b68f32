//! The list of rules in the config: stream pattern, action, address range, key. First match wins.
//!
//! For an action that no rule allows to anybody, the shipped default holds: everyone may play, and only
//! loopback and private networks may publish. As soon as one rule allows it to some, others are refused.

use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::pattern::StreamPattern;
use crate::config::Cidr;
use crate::log::mask::MASK;

/// Where publishing is open while there are no rules.
const TRUSTED: [Cidr; 7] = [
    Cidr::v4(127, 0, 0, 0, 8),
    Cidr::v4(10, 0, 0, 0, 8),
    Cidr::v4(172, 16, 0, 0, 12),
    Cidr::v4(192, 168, 0, 0, 16),
    Cidr::LOOPBACK_V6,
    Cidr::v6(0xfc00, 7),
    Cidr::v6(0xfe80, 10),
];

/// One rule: exactly one of `allow` and `deny`; every other part narrows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// The streams it holds for; `*` stands for one part of the key, `**` for the rest. Default: all.
    pub stream: StreamPattern,

    /// What is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Covers>,

    /// What is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Covers>,

    /// The peers it holds for. Default: everyone; `[]` is everyone too.
    pub from: Vec<Cidr>,

    /// The rule holds only for peers that give this key. Default: none is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Covers {
    Any,
    Play,
    Publish,
}

impl Covers {
    fn covers(self, action: Action) -> bool {
        match self {
            Self::Any => true,
            Self::Play => action == Action::Play,
            Self::Publish => action == Action::Publish,
        }
    }
}

/// What a peer asks to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Play,
    Publish,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Play => "play",
            Self::Publish => "publish",
        })
    }
}

/// A secret of the config: never shown, compared in constant time.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(#[schemars(length(min = 1), extend("writeOnly" = true))] String);

impl Secret {
    /// A secret with this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Takes the same time whatever is given. Digests are compared, so that the length stays hidden.
    #[must_use]
    pub fn equals(&self, given: &str) -> bool {
        Sha256::digest(&self.0).as_slice().ct_eq(Sha256::digest(given).as_slice()).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.equals(&other.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// What a peer asks for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The stream key after normalisation: `live/cam`.
    pub stream: &'a str,
    pub action: Action,
    pub peer: IpAddr,
    /// The `key` argument, if one was given.
    pub key: Option<&'a str>,
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// The reason is for the peer and the log: it names no rule's key.
    Refuse(Refusal),
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    #[error(
        "publishing is open to loopback and private networks only; to publish from {peer}, add a rule \
         with a key to `auth` in the config"
    )]
    PublicPublisher { peer: IpAddr },

    #[error("a rule refuses to {action} this stream")]
    Denied { action: Action },

    #[error("a key is needed to {action} this stream: add ?key=… to its name")]
    KeyNeeded { action: Action },

    #[error("the key is wrong")]
    WrongKey,

    #[error("no rule in `auth` allows to {action} this stream from {peer}")]
    NoRule { action: Action, peer: IpAddr },
}

/// Asks the rules from first to last.
#[must_use]
pub fn decide(rules: &[Rule], request: &Request<'_>) -> Decision {
    let (action, peer) = (request.action, request.peer.to_canonical());
    let mut refusal = Refusal::NoRule { action, peer };
    for rule in rules.iter().filter(|rule| rule.holds_for(request)) {
        match (&rule.key, request.key) {
            (Some(key), Some(given)) if key.equals(given) => {}
            (Some(_), given) => {
                // Another rule may still match. If none does, this is what the peer has to hear.
                if rule.allow.is_some() {
                    refusal = match given {
                        Some(_) => Refusal::WrongKey,
                        None => Refusal::KeyNeeded { action },
                    };
                }
                continue;
            }
            (None, _) => {}
        }
        return match rule.allow {
            Some(_) => Decision::Allow,
            None => Decision::Refuse(Refusal::Denied { action }),
        };
    }
    // A rule that allows some to publish must not close playing, and a denial of one stream not all others.
    let is_listed = rules.iter().any(|rule| rule.allow.is_some_and(|covers| covers.covers(action)));
    if is_listed { Decision::Refuse(refusal) } else { by_default(action, peer) }
}

fn by_default(action: Action, peer: IpAddr) -> Decision {
    match action {
        Action::Publish if !TRUSTED.iter().any(|range| range.contains(peer)) => {
            Decision::Refuse(Refusal::PublicPublisher { peer })
        }
        Action::Play | Action::Publish => Decision::Allow,
    }
}

impl Rule {
    /// Everything but the key.
    fn holds_for(&self, request: &Request<'_>) -> bool {
        self.allow.or(self.deny).is_some_and(|covers| covers.covers(request.action))
            && (self.from.is_empty() || self.from.iter().any(|range| range.contains(request.peer)))
            && self.stream.matches(request.stream)
    }

    /// What is wrong with the rule beyond the form of its parts.
    ///
    /// # Errors
    ///
    /// When it says both `allow` and `deny`, or neither.
    pub fn check(&self) -> Result<(), &'static str> {
        match (self.allow, self.deny) {
            (Some(_), Some(_)) => Err("a rule has `allow` or `deny`, not both"),
            (None, None) => Err("a rule needs `allow` or `deny`: publish, play or any"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: serde_json::Value) -> Vec<Rule> {
        serde_json::from_value(json).unwrap()
    }

    fn ask(
        rules: &[Rule],
        action: Action,
        stream: &str,
        peer: &str,
        key: Option<&str>,
    ) -> Decision {
        decide(rules, &Request { stream, action, peer: peer.parse().unwrap(), key })
    }

    #[test]
    fn without_rules_play_is_open_and_publish_is_private() {
        for peer in
            ["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "::1", "fd00::1", "fe80::1"]
        {
            assert_eq!(ask(&[], Action::Publish, "a/b", peer, None), Decision::Allow, "{peer}");
        }
        assert_eq!(ask(&[], Action::Publish, "a/b", "::ffff:10.0.0.1", None), Decision::Allow);
        for peer in ["172.32.0.1", "203.0.113.1", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert_eq!(ask(&[], Action::Play, "a/b", peer, None), Decision::Allow, "{peer}");
            let refused = ask(&[], Action::Publish, "a/b", peer, None);
            assert!(
                matches!(refused, Decision::Refuse(Refusal::PublicPublisher { .. })),
                "{peer}: {refused:?}"
            );
        }
    }

    #[test]
    fn first_matching_rule_wins() {
        let rules = rules(serde_json::json!([
            {"stream": "live/closed", "deny": "any"},
            {"stream": "live/**", "allow": "publish", "from": ["10.0.0.0/8"]},
            {"allow": "play"},
        ]));

        let denied = Decision::Refuse(Refusal::Denied { action: Action::Play });
        assert_eq!(ask(&rules, Action::Play, "live/closed", "10.0.0.1", None), denied);
        assert_eq!(ask(&rules, Action::Play, "live/a", "8.8.8.8", None), Decision::Allow);
        assert_eq!(ask(&rules, Action::Publish, "live/a", "10.0.0.1", None), Decision::Allow);
        for (stream, peer) in [("live/a", "8.8.8.8"), ("other/a", "10.0.0.1")] {
            let peer: IpAddr = peer.parse().unwrap();
            let refused = Decision::Refuse(Refusal::NoRule { action: Action::Publish, peer });
            assert_eq!(ask(&rules, Action::Publish, stream, &peer.to_string(), None), refused);
        }
    }

    #[test]
    fn rules_about_one_action_leave_the_other_as_shipped() {
        let rules = rules(serde_json::json!([
            {"stream": "live/**", "allow": "publish", "key": "MARK"},
            {"stream": "live/closed", "deny": "play"},
        ]));

        assert_eq!(ask(&rules, Action::Play, "live/a", "8.8.8.8", None), Decision::Allow);
        let denied = Decision::Refuse(Refusal::Denied { action: Action::Play });
        assert_eq!(ask(&rules, Action::Play, "live/closed", "8.8.8.8", None), denied);
        // A wrong key never falls back to the default.
        assert_eq!(
            ask(&rules, Action::Publish, "live/a", "127.0.0.1", Some("x")),
            Decision::Refuse(Refusal::WrongKey)
        );
    }

    #[test]
    fn a_key_opens_only_when_it_is_right() {
        let rules = rules(serde_json::json!([
            {"stream": "live/*", "allow": "publish", "key": "MARK"},
            {"stream": "live/two", "allow": "publish", "key": "second"},
        ]));
        let publish = |stream, key| ask(&rules, Action::Publish, stream, "8.8.8.8", key);

        assert_eq!(publish("live/a", Some("MARK")), Decision::Allow);
        assert_eq!(publish("live/two", Some("second")), Decision::Allow);
        assert_eq!(publish("live/a", Some("second")), Decision::Refuse(Refusal::WrongKey));
        assert_eq!(
            publish("live/a", None),
            Decision::Refuse(Refusal::KeyNeeded { action: Action::Publish })
        );
    }

    #[test]
    fn a_denied_key_closes() {
        let rules = rules(serde_json::json!([
            {"deny": "any", "key": "leaked"},
            {"allow": "any"},
        ]));

        let denied = Decision::Refuse(Refusal::Denied { action: Action::Play });
        assert_eq!(ask(&rules, Action::Play, "a/b", "8.8.8.8", Some("leaked")), denied);
        assert_eq!(ask(&rules, Action::Play, "a/b", "8.8.8.8", Some("other")), Decision::Allow);
        assert_eq!(ask(&rules, Action::Play, "a/b", "8.8.8.8", None), Decision::Allow);
    }

    #[test]
    fn secrets_are_not_shown() {
        let rule = &rules(serde_json::json!([{"allow": "any", "key": "MARK"}]))[0];

        assert!(!format!("{rule:?}").contains("MARK"));
        assert!(!serde_json::to_string(rule).unwrap().contains("MARK"));
    }

    #[test]
    fn a_rule_has_one_verdict() {
        for (json, right) in [
            (serde_json::json!({"allow": "any"}), true),
            (serde_json::json!({"deny": "play"}), true),
            (serde_json::json!({"allow": "any", "deny": "play"}), false),
            (serde_json::json!({"key": "x"}), false),
        ] {
            let rule: Rule = serde_json::from_value(json).unwrap();
            assert_eq!(rule.check().is_ok(), right, "{rule:?}");
        }
    }
}
