//! What reaches a fan-out thread: commands, and feeds that have grown. The thread sleeps until its bell rings.

#[path = "../../host/src/fanout/mailbox.rs"]
mod mailbox;

use std::sync::Arc;

use loom::sync::Notify;
use loom::thread;

use self::mailbox::{Bell, Mailbox, Waiting};
use crate::hub::feed::Feed;
use crate::{FRAMES, check};

/// In the place of a descriptor in epoll: what rings while nobody waits ends the next wait.
#[derive(Default)]
struct Rings(Notify);

impl Bell for Rings {
    fn ring(&self) {
        self.0.notify();
    }
}

type Inbox = Mailbox<u64, Rings>;

fn inbox() -> Arc<Inbox> {
    Arc::new(Mailbox::with(Rings::default()))
}

/// What the thread does when nothing is left to do.
fn wait_and_take(inbox: &Inbox, mail: &mut Waiting<u64>) {
    inbox.bell().0.wait();
    inbox.take(mail);
}

#[test]
fn every_command_arrives_once_in_order() {
    check(|| {
        let inbox = inbox();
        let sender = thread::spawn({
            let inbox = Arc::clone(&inbox);
            move || (0..FRAMES).for_each(|number| inbox.send(number).unwrap())
        });

        let (mut mail, mut got) = (Waiting::default(), Vec::new());
        while got.len() < (0..FRAMES).count() {
            wait_and_take(&inbox, &mut mail);
            got.append(&mut mail.commands);
        }

        assert_eq!(got, Vec::from_iter(0..FRAMES));
        sender.join().unwrap();
    });
}

#[test]
fn a_command_is_taken_or_comes_back_when_the_thread_ends() {
    check(|| {
        let inbox = inbox();
        let sender = thread::spawn({
            let inbox = Arc::clone(&inbox);
            move || (0..FRAMES).filter(|number| inbox.send(*number).is_err()).count()
        });

        let mut mail = Waiting::default();
        inbox.take(&mut mail);
        let left = inbox.close();

        let returned = sender.join().unwrap();
        assert_eq!(mail.commands.len() + left.len() + returned, (0..FRAMES).count());
    });
}

#[test]
fn every_packet_arrives_once_in_order() {
    check(|| {
        let (feed, inbox) = (Arc::new(Feed::default()), inbox());
        let mut window = feed.watch(Arc::clone(&inbox) as _, 0);
        let writer = thread::spawn({
            let feed = Arc::clone(&feed);
            move || (0..FRAMES).for_each(|number| feed.commit(number))
        });

        let (mut mail, mut got) = (Waiting::default(), Vec::new());
        while got.len() < (0..FRAMES).count() {
            wait_and_take(&inbox, &mut mail);
            for _slot in mail.news.drain(..) {
                got.append(&mut feed.look(&mut window));
            }
        }

        assert_eq!(got, Vec::from_iter((0..FRAMES).map(|n| i64::try_from(n).unwrap())));
        writer.join().unwrap();
    });
}
