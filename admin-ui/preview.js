// Plays one stream, named by the path of the page: /preview/{key} plays /flv/{key}.flv. The query of the page goes along,
// for rules that ask for a `key`.

import { keepFigures, setText } from './dom.js';
import { bitRate, codecName, seconds } from './units.js';

const { mpegts } = window;

const PREFIX = '/preview/';
const FIGURES_INTERVAL_MS = 1000;
const RETRY_MS = 2000;
// Further behind after a pause, it goes on with the newest.
const BEHIND_SECONDS_MAX = 5;
// What the browser has shown is forgotten, so that a preview can stay open for days.
const KEPT_SECONDS = 30;

const part = (name) => document.getElementById(name);
const video = part('video');
const path = location.pathname.slice(PREFIX.length);
const url = new URL(`/flv/${path}.flv${location.search}`, location.origin).href;

let player = null;
let retry;
let codecs = '';

function nameOfKey() {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

// Reads a stream as mpegts.js asks for it. Its own loader throws away what the server answers when it says no.
class Loader extends mpegts.BaseLoader {
  #stop = new AbortController();

  constructor() {
    super('fetch');
  }

  async open(source) {
    this._status = mpegts.LoaderStatus.kConnecting;
    try {
      const response = await fetch(source.url, { signal: this.#stop.signal });
      if (response.ok) {
        await this.#read(response.body.getReader());
      } else {
        const text = (await response.text()).trim();
        const isPlugin = response.headers.get('content-type')?.startsWith('text/plain');
        const retryMs = 1000 * (Number(response.headers.get('retry-after')) || 0);
        const info = { code: response.status, msg: text, isPlugin, retryMs };
        this.#fail(mpegts.LoaderErrors.HTTP_STATUS_CODE_INVALID, info);
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#fail(mpegts.LoaderErrors.EXCEPTION, { code: 0, msg: error.message });
    }
  }

  async #read(reader) {
    this._status = mpegts.LoaderStatus.kBuffering;
    let length = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (this.#stop.signal.aborted) return;
      if (done) break;
      const from = length;
      length += value.byteLength;
      // A chunk of its own buffer is what mpegts.js reads.
      this._onDataArrival(value.slice().buffer, from, length);
    }
    this._status = mpegts.LoaderStatus.kComplete;
    this._onComplete(0, length - 1);
  }

  #fail(type, info) {
    this._status = mpegts.LoaderStatus.kError;
    this._onError(type, info);
  }

  abort() {
    this.#stop.abort();
    this._status = mpegts.LoaderStatus.kComplete;
  }

  destroy() {
    this.abort();
    super.destroy();
  }
}

function stop() {
  clearTimeout(retry);
  player?.destroy();
  player = null;
  codecs = '';
}

function start() {
  stop();
  player = mpegts.createPlayer(
    { type: 'flv', isLive: true, url },
    {
      customLoader: Loader,
      enableStashBuffer: false,
      lazyLoad: false,
      liveSync: true,
      autoCleanupSourceBuffer: true,
      autoCleanupMaxBackwardDuration: 2 * KEPT_SECONDS,
      autoCleanupMinBackwardDuration: KEPT_SECONDS,
    },
  );
  player.on(mpegts.Events.MEDIA_INFO, ({ videoCodec, audioCodec }) => {
    codecs = [videoCodec, audioCodec].filter(Boolean).map(codecName).join(' · ');
  });
  // Later: mpegts.js is in the middle of something when it calls, and what has failed first is what is told.
  const own = player;
  const later = (act) => setTimeout(() => own === player && act());
  player.on(mpegts.Events.LOADING_COMPLETE, () => later(ended));
  player.on(mpegts.Events.ERROR, (type, detail, info) => later(() => failed(detail, info)));
  player.attachMediaElement(video);
  player.load();
  // A browser that wants a click first shows its own button.
  player.play()?.catch(() => {});
}

function connect() {
  showLink('', 'Connecting');
  tell('Waiting for the stream');
  start();
}

// Over the picture; empty: the picture alone.
function tell(text, mayTryAgain = false) {
  setText(part('text'), text);
  part('told').hidden = !text;
  part('again').hidden = !mayTryAgain;
}

function showLink(state, text) {
  part('link').dataset.state = state;
  setText(part('link'), text);
}

function startAgain(text, retryMs = 0) {
  showLink('lost', 'Waiting');
  tell(text);
  stop();
  retry = setTimeout(start, Math.max(RETRY_MS, retryMs));
}

function giveUp(text) {
  showLink('lost', 'Stopped');
  tell(text, true);
  stop();
}

const ended = () => startAgain('The stream has ended. Waiting for it to come back.');

function failed(detail, info) {
  switch (detail) {
    case mpegts.ErrorDetails.NETWORK_STATUS_CODE_INVALID:
      refused(info);
      break;
    case mpegts.ErrorDetails.NETWORK_EXCEPTION:
      startAgain('The server does not answer. Trying again.');
      break;
    default:
      giveUp(unplayable(info.msg));
  }
}

function refused({ code: status, msg: text, isPlugin, retryMs }) {
  if (status === 404 && !isPlugin) {
    giveUp('No FLV plugin is running on this server, and the preview plays FLV.');
  } else if (status === 404) {
    startAgain('There is no stream of this key. Waiting for it.');
  } else if (status === 503 || status === 429) {
    startAgain(`The server can’t serve this right now: ${text}. Trying again.`, retryMs);
  } else if (status === 403) {
    giveUp(`Not allowed: ${text}. A rule that asks for a key finds it in the address of this page: add ?key=…`);
  } else if (status === 406) {
    giveUp(`The preview can’t play this stream: ${text}.`);
  } else {
    giveUp(`The server answers ${status}: ${text}.`);
  }
}

// The browser names the type that it can't play.
function unplayable(text) {
  const codec = /codecs="?([^"')]+)/.exec(text)?.[1];
  if (!codec) return `This browser can’t play the stream: ${text}`;
  return `This browser can’t play ${codecName(codec)} (${codec}). Use a player such as VLC.`;
}

let shown = { at: 0, frames: 0 };

function showFigures() {
  const { totalVideoFrames: frames, droppedVideoFrames: dropped } = video.getVideoPlaybackQuality();
  const at = performance.now();
  const perSecond = Math.max(0, frames - shown.frames) / ((at - shown.at) / 1000);
  shown = { at, frames };
  const { buffered } = video;
  const newest = buffered.length > 0 ? buffered.end(buffered.length - 1) : video.currentTime;
  const buffer = newest - video.currentTime;
  if (buffer > BEHIND_SECONDS_MAX && !video.paused) video.currentTime = newest - 1;
  const speed = player?.statisticsInfo?.speed ?? 0;
  const hasPicture = video.videoWidth > 0;
  video.classList.toggle('sound', codecs !== '' && !hasPicture);
  const figures = [
    ['Picture', hasPicture ? `${video.videoWidth}×${video.videoHeight}` : '–'],
    ['Codecs', codecs || '–'],
    ['fps', hasPicture ? String(Math.round(perSecond)) : '–'],
    ['Bit rate', bitRate(speed * 1024 * 8)],
    ['Buffer', seconds(buffer)],
    ['Dropped', `${dropped} of ${frames}`],
  ];
  keepFigures(part('figures'), figures);
}

const key = nameOfKey();
part('key').textContent = key;
document.title = `${key} · Plugcast`;
part('again').addEventListener('click', connect);
video.addEventListener('playing', () => {
  showLink('live', 'Live');
  tell('');
});
video.addEventListener('waiting', () => part('told').hidden && showLink('', 'Buffering'));

if (mpegts.isSupported()) {
  // Its log would be all that the console has.
  mpegts.LoggingControl.enableAll = false;
  connect();
} else {
  tell('This browser has no Media Source Extensions, which the preview needs.');
}
showFigures();
setInterval(showFigures, FIGURES_INTERVAL_MS);
