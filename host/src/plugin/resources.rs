//! What a running instance has of the host's: what it would be missed by, or hold up.

use serde::Serialize;
use utoipa::ToSchema;

use super::instance::Instance;
use crate::abi::Object;

/// Counts at one moment. Media memory is counted for the server as a whole: payload is shared between instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PluginResources)]
pub struct Resources {
    /// Below the instance in the task tree.
    pub tasks: usize,
    /// All handles, those of the other counts among them.
    pub handles: usize,
    pub listeners: usize,
    /// Accepted or dialled, and not closed by the plugin.
    pub connections: usize,
    pub publishers: usize,
    /// Readers of frames.
    pub subscribers: usize,
    /// Connections that it has lent to feeds. Viewers over HTTP are the host's.
    pub viewers: usize,
}

impl Resources {
    pub(super) fn of(instance: &Instance) -> Self {
        let mut counts = Self { tasks: instance.node.descendants(), ..Self::default() };
        instance.handles.for_each(|object| {
            counts.handles += 1;
            match object {
                Object::Conn(_) => counts.connections += 1,
                Object::Listener(_) => counts.listeners += 1,
                Object::Publisher(_) => counts.publishers += 1,
                Object::Subscription(_) => counts.subscribers += 1,
                Object::Viewer(_) => counts.viewers += 1,
                Object::Packager(_)
                | Object::Prepared(_)
                | Object::Request(_)
                | Object::Route(_)
                | Object::Task(_)
                | Object::Timer(_) => {}
            }
        });
        counts
    }
}
