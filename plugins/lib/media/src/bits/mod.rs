//! Reading and writing below the byte: the lowest layer, which knows no format.

mod bit_reader;
mod bit_writer;
mod byte_reader;

pub use bit_reader::{BitReader, Error};
pub use bit_writer::BitWriter;
pub use byte_reader::ByteReader;
