//! AudioSpecificConfig (ISO/IEC 14496-3, section 1.6.2.1).
//!
//! The tricky part is HE-AAC, which doubles the sample rate (SBR) and may make stereo of mono (PS).
//! A config can say so in front (hierarchical), behind, where old decoders do not look
//! (backward compatible), or not at all (implicit: only a decoder finds out).

use crate::bits::{BitReader, BitWriter};
use crate::codec::Error;

/// audioObjectType of SBR and PS as an extension (section 1.5.1.1, table 1.17).
const OBJECT_TYPE_SBR: u8 = 5;
const OBJECT_TYPE_PS: u8 = 29;
/// ER BSAC, which carries a second channel configuration.
const OBJECT_TYPE_ER_BSAC: u8 = 22;
/// Object types from here on take the escape (section 1.6.2.1, GetAudioObjectType).
const OBJECT_TYPE_ESCAPE: u8 = 31;
const OBJECT_TYPE_ESCAPED_MIN: u8 = 32;

/// samplingFrequencyIndex → hertz (section 1.6.3.4, table 1.18). 13 and 14 are reserved, 15 is the
/// escape.
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];
const SAMPLE_RATE_ESCAPE: u8 = 15;

/// syncExtensionType before SBR and before PS (section 1.6.2.1, table 1.15).
const SYNC_SBR: u32 = 0x2b7;
const SYNC_PS: u32 = 0x548;

/// What a decoder must know before the first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioSpecificConfig {
    /// audioObjectType of the core coder: 2 is AAC-LC.
    pub object_type: u8,
    /// Of the core coder, in hertz.
    pub sample_rate: u32,
    /// channelConfiguration; 0 means that a program config element tells.
    pub channel_configuration: u8,
    /// Channels of the core coder, LFE included.
    pub channels: u8,
    /// Samples a channel in one frame of the core coder: 1024, 960, or for low delay 512, 480.
    pub frame_samples: u16,
    /// Spectral band replication, when it is signalled.
    pub sbr: Option<Sbr>,
}

/// Spectral band replication and what comes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sbr {
    /// Of the output, in hertz.
    pub sample_rate: u32,
    /// Parametric stereo: one core channel, two output channels.
    pub has_ps: bool,
    /// Where the config says so.
    pub signalling: SbrSignalling,
}

/// Where a config says that there is SBR (section 1.6.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SbrSignalling {
    /// Behind the core's config, where decoders without SBR do not look.
    BackwardCompatible,
    /// In front: decoders without SBR refuse it.
    Hierarchical,
}

impl AudioSpecificConfig {
    /// A plain config: no SBR, 1024 samples. `channel_configuration` is 1 to 7.
    ///
    /// # Errors
    ///
    /// When the channel configuration is 0 or reserved.
    pub fn new(
        object_type: u8,
        sample_rate: u32,
        channel_configuration: u8,
    ) -> Result<Self, Error> {
        let channels = channels(channel_configuration, 0)?;
        Ok(Self {
            object_type,
            sample_rate,
            channel_configuration,
            channels,
            frame_samples: 1024,
            sbr: None,
        })
    }

    /// Parses the config. Bytes behind it are ignored.
    ///
    /// # Errors
    ///
    /// When it is cut short, or uses reserved rates or channel configurations.
    pub fn parse(input: &[u8]) -> Result<Self, Error> {
        let mut bits = BitReader::new(input);
        let mut object_type = read_object_type(&mut bits)?;
        let sample_rate = read_sample_rate(&mut bits)?;
        let channel_configuration = bits.u8(4, "channelConfiguration")?;
        let mut sbr = None;
        if matches!(object_type, OBJECT_TYPE_SBR | OBJECT_TYPE_PS) {
            sbr = Some(Sbr {
                sample_rate: read_sample_rate(&mut bits)?,
                has_ps: object_type == OBJECT_TYPE_PS,
                signalling: SbrSignalling::Hierarchical,
            });
            object_type = read_object_type(&mut bits)?;
            if object_type == OBJECT_TYPE_ER_BSAC {
                bits.skip(4, "extensionChannelConfiguration")?;
            }
        }
        let mut config = Self {
            object_type,
            sample_rate,
            channel_configuration,
            channels: 0,
            frame_samples: 1024,
            sbr,
        };
        if config.is_general_audio() {
            config.read_general_audio(&mut bits)?;
            if config.sbr.is_none() && config.ends_with_general_audio() {
                config.sbr = read_backward_compatible(&mut bits);
            }
        } else {
            config.channels = channels(channel_configuration, bits.offset())?;
        }
        Ok(config)
    }

    /// Writes the config. `None` when the channels need a program config element, or the object
    /// type has fields that are not kept here: then forward the bytes that came.
    pub fn write(&self) -> Option<Vec<u8>> {
        if self.channel_configuration == 0 || !self.ends_with_general_audio() {
            return None;
        }
        let mut bits = BitWriter::new();
        match self.sbr {
            Some(Sbr { sample_rate, has_ps, signalling: SbrSignalling::Hierarchical }) => {
                let extension = if has_ps { OBJECT_TYPE_PS } else { OBJECT_TYPE_SBR };
                write_object_type(&mut bits, extension);
                write_sample_rate(&mut bits, self.sample_rate)?;
                bits.u(4, u32::from(self.channel_configuration));
                write_sample_rate(&mut bits, sample_rate)?;
                write_object_type(&mut bits, self.object_type);
            }
            _ => {
                write_object_type(&mut bits, self.object_type);
                write_sample_rate(&mut bits, self.sample_rate)?;
                bits.u(4, u32::from(self.channel_configuration));
            }
        }
        // GASpecificConfig: frameLengthFlag, dependsOnCoreCoder, extensionFlag.
        bits.u(1, u32::from(self.frame_samples == 960));
        bits.u(2, 0);
        if let Some(Sbr { sample_rate, has_ps, signalling: SbrSignalling::BackwardCompatible }) =
            self.sbr
        {
            bits.u(11, SYNC_SBR);
            write_object_type(&mut bits, OBJECT_TYPE_SBR);
            bits.u(1, 1);
            write_sample_rate(&mut bits, sample_rate)?;
            if has_ps {
                bits.u(11, SYNC_PS);
                bits.u(1, 1);
            }
        }
        Some(bits.finish())
    }

    /// The rate that comes out of a decoder that has SBR.
    pub fn output_sample_rate(&self) -> u32 {
        self.sbr.map_or(self.sample_rate, |sbr| sbr.sample_rate)
    }

    /// The channels that come out of a decoder that has PS.
    pub fn output_channels(&self) -> u8 {
        match self.sbr {
            Some(Sbr { has_ps: true, .. }) if self.channels == 1 => 2,
            _ => self.channels,
        }
    }

    /// Object types with a GASpecificConfig (section 1.6.2.1, table 1.15).
    fn is_general_audio(&self) -> bool {
        matches!(self.object_type, 1..=4 | 6 | 7 | 17 | 19..=23)
    }

    /// Object types for which nothing but an extension follows the fields that are read here:
    /// Main, LC, SSR, LTP. The only ones that are written, too.
    fn ends_with_general_audio(&self) -> bool {
        matches!(self.object_type, 1..=4)
    }

    /// GASpecificConfig (section 4.4.1).
    fn read_general_audio(&mut self, bits: &mut BitReader<'_>) -> Result<(), Error> {
        let is_short = bits.flag("frameLengthFlag")?;
        // 23 is ER AAC LD.
        self.frame_samples = match (self.object_type, is_short) {
            (23, false) => 512,
            (23, true) => 480,
            (_, false) => 1024,
            (_, true) => 960,
        };
        if bits.flag("dependsOnCoreCoder")? {
            bits.skip(14, "coreCoderDelay")?;
        }
        bits.flag("extensionFlag")?;
        self.channels = match self.channel_configuration {
            0 => read_program_config(bits)?,
            configuration => channels(configuration, bits.offset())?,
        };
        Ok(())
    }
}

/// The number of channels of a channelConfiguration (section 1.6.3.5, table 1.19, and
/// ISO/IEC 23001-8 for those above 7).
fn channels(configuration: u8, offset: usize) -> Result<u8, Error> {
    match configuration {
        1..=6 => Ok(configuration),
        7 | 12 | 14 => Ok(8),
        11 => Ok(7),
        13 => Ok(24),
        reserved => Err(Error::Invalid {
            field: "channelConfiguration",
            value: u64::from(reserved),
            offset,
            section: "ISO/IEC 14496-3, section 1.6.3.5",
        }),
    }
}

fn read_object_type(bits: &mut BitReader<'_>) -> Result<u8, Error> {
    match bits.u8(5, "audioObjectType")? {
        OBJECT_TYPE_ESCAPE => Ok(OBJECT_TYPE_ESCAPED_MIN + bits.u8(6, "audioObjectTypeExt")?),
        object_type => Ok(object_type),
    }
}

fn write_object_type(bits: &mut BitWriter, object_type: u8) {
    match object_type.checked_sub(OBJECT_TYPE_ESCAPED_MIN) {
        Some(escaped) => {
            bits.u(5, u32::from(OBJECT_TYPE_ESCAPE));
            bits.u(6, u32::from(escaped));
        }
        None => bits.u(5, u32::from(object_type)),
    }
}

fn read_sample_rate(bits: &mut BitReader<'_>) -> Result<u32, Error> {
    let index = bits.u8(4, "samplingFrequencyIndex")?;
    let rate = match index {
        SAMPLE_RATE_ESCAPE => bits.u(24, "samplingFrequency")?,
        index => SAMPLE_RATES.get(usize::from(index)).copied().unwrap_or(0),
    };
    // Zero is a reserved index or an escape that would divide by it later.
    if rate == 0 {
        return Err(Error::Invalid {
            field: "samplingFrequencyIndex",
            value: u64::from(index),
            offset: bits.offset(),
            section: "ISO/IEC 14496-3, section 1.6.3.4",
        });
    }
    Ok(rate)
}

/// `None` when the rate has more than the escape's 24 bits, or is 0.
fn write_sample_rate(bits: &mut BitWriter, rate: u32) -> Option<()> {
    let index = SAMPLE_RATES.iter().position(|known| *known == rate);
    match index.and_then(|index| u32::try_from(index).ok()) {
        Some(index) => bits.u(4, index),
        None if (1..1 << 24).contains(&rate) => {
            bits.u(4, u32::from(SAMPLE_RATE_ESCAPE));
            bits.u(24, rate);
        }
        None => return None,
    }
    Some(())
}

/// The extension behind the core's config. Whatever is not one is padding: encoders leave bytes
/// here, so nothing is refused.
fn read_backward_compatible(bits: &mut BitReader<'_>) -> Option<Sbr> {
    if bits.u(11, "syncExtensionType").ok()? != SYNC_SBR
        || read_object_type(bits).ok()? != OBJECT_TYPE_SBR
        || !bits.flag("sbrPresentFlag").ok()?
    {
        return None;
    }
    let sample_rate = read_sample_rate(bits).ok()?;
    let has_ps =
        bits.u(11, "syncExtensionType") == Ok(SYNC_PS) && bits.flag("psPresentFlag") == Ok(true);
    Some(Sbr { sample_rate, has_ps, signalling: SbrSignalling::BackwardCompatible })
}

/// program_config_element (section 4.4.1.1): counts its channels.
fn read_program_config(bits: &mut BitReader<'_>) -> Result<u8, Error> {
    bits.skip(4 + 2 + 4, "element_instance_tag, object_type, sampling_frequency_index")?;
    let front = bits.u8(4, "num_front_channel_elements")?;
    let side = bits.u8(4, "num_side_channel_elements")?;
    let back = bits.u8(4, "num_back_channel_elements")?;
    let lfe = bits.u8(2, "num_lfe_channel_elements")?;
    let assoc_data = bits.u8(3, "num_assoc_data_elements")?;
    let coupling = bits.u8(4, "num_valid_cc_elements")?;
    for (field, width) in
        [("mono_mixdown", 4), ("stereo_mixdown", 4), ("matrix_mixdown_idx_present", 3)]
    {
        if bits.flag(field)? {
            bits.skip(width, field)?;
        }
    }
    let mut channels = lfe;
    // At most 45 elements of up to two channels: 93 with LFE.
    for _ in 0..front + side + back {
        channels += 1 + bits.u8(1, "element_is_cpe")?;
        bits.skip(4, "element_tag_select")?;
    }
    if channels == 0 {
        return Err(Error::Invalid {
            field: "program_config_element channels",
            value: 0,
            offset: bits.offset(),
            section: "ISO/IEC 14496-3, section 4.4.1.1",
        });
    }
    // None of the rest matters, but an SBR extension lies behind it.
    let tags = usize::from(lfe + assoc_data) * 4 + usize::from(coupling) * 5;
    bits.skip(tags, "lfe, assoc_data and cc elements")?;
    bits.align();
    let comment = usize::from(bits.u8(8, "comment_field_bytes")?);
    bits.skip(comment * 8, "comment_field_data")?;
    Ok(channels)
}
