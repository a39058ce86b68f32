//! A system call for each viewer. What is due lies in one piece, so that `send()` does, which is cheaper than `writev()`.

use super::Engine;
use super::viewers::{Batch, Viewer};
use crate::error::Error;

pub(super) struct Send;

impl Engine for Send {
    fn admit(&mut self, _: &Viewer) -> Result<(), Error> {
        Ok(())
    }

    fn send_all(&mut self, viewers: &mut Vec<Viewer>, batch: &Batch) -> Result<(), Error> {
        viewers.retain_mut(|viewer| {
            let due = viewer.due(batch);
            viewer.send(due)
        });
        Ok(())
    }
}
