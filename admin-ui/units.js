// Figures and names as people read them.

const number = (value, digits) =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });

function scaled(value, units, step) {
  let rank = 0;
  while (value >= step && rank < units.length - 1) {
    value /= step;
    rank += 1;
  }
  return `${number(value, rank > 0 && value < 100 ? 1 : 0)} ${units[rank]}`;
}

export const bitRate = (bits) => scaled(bits, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s'], 1000);
export const size = (bytes) => scaled(bytes, ['B', 'KiB', 'MiB', 'GiB', 'TiB'], 1024);
export const percent = (share) => `${number(100 * share, 0)} %`;
export const seconds = (value) => `${number(value, 1)} s`;
export const fps = (value) => (value > 0 ? number(value, 1) : '–');

export function duration(ms) {
  const total = Math.floor(ms / 1000);
  const [days, hours] = [Math.floor(total / 86_400), Math.floor(total / 3600) % 24];
  const [minutes, rest] = [Math.floor(total / 60) % 60, total % 60];
  const two = (value) => String(value).padStart(2, '0');
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours}:${two(minutes)}:${two(rest)}`;
  return `${minutes}:${two(rest)}`;
}

const CODECS = {
  '.mp3': 'MP3',
  alaw: 'G.711 A',
  av01: 'AV1',
  avc1: 'H.264',
  hvc1: 'H.265',
  mp4a: 'AAC',
  Opus: 'Opus',
  ulaw: 'G.711 µ',
  vp08: 'VP8',
  vp09: 'VP9',
};

// `codec` is the four letters, or a codec string that begins with them (RFC 6381).
export const codecName = (codec) => CODECS[codec.slice(0, 4)] ?? codec;
