//! Containers: how frames and their facts are laid out in a file or a message.

pub mod flv;
