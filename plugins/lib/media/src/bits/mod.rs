//! Reading and writing below the byte: the lowest layer, which knows no format.

mod byte_reader;

pub use byte_reader::ByteReader;
