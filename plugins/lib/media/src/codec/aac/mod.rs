//! AAC (ISO/IEC 14496-3). A frame is one raw access unit without ADTS; what a decoder must know
//! first is the [`AudioSpecificConfig`].

mod asc;

pub use asc::{AudioSpecificConfig, Sbr, SbrSignalling};

#[cfg(test)]
mod tests;
