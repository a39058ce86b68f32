// The table of streams, and under the one that is open: where to watch it, who watches, and what can be done about it.

import * as api from './api.js';
import { askToKick, askToStop } from './dialogs.js';
import { button, copyable, el, keep, setText } from './dom.js';
import { bitRate, codecName, duration, fps, seconds, size } from './units.js';

const STATES = { settling: 'starting', publishing: '', waiting_for_publisher: 'waiting for its publisher' };

export class Streams {
  #table;
  #tell;
  // The key of the stream whose details are shown: one at a time, so that a look costs one more question and no more.
  #open = null;

  // `tell.changed` asks anew, `tell.say` is for those who hear the page, `tell.complain` shows what went wrong.
  constructor(table, tell) {
    this.#table = table;
    this.#tell = tell;
  }

  // The details of the one that is open; null when it has ended by now.
  async askForOpen() {
    if (this.#open === null) return null;
    try {
      return await api.stream(this.#open);
    } catch (error) {
      if (error instanceof api.Refused && error.status === 404) return null;
      throw error;
    }
  }

  show(streams, detail) {
    const open = detail?.key === this.#open ? detail : null;
    const items = streams.map((stream) => {
      const isOpen = stream.key === this.#open;
      return { stream, isOpen, detail: isOpen ? open : null };
    });
    // One body for each: its row, and the details under it.
    keep(this.#table, items, ({ stream }) => stream.key, ({ stream }) => this.#body(stream.key));
  }

  #toggle(key) {
    this.#open = this.#open === key ? null : key;
    this.#tell.changed();
  }

  #body(key) {
    const cells = {};
    const cell = (name, label, classes = '') => {
      cells[name] = el('td', { class: classes, 'data-label': label });
      return cells[name];
    };
    const state = el('span', { class: 'tag' });
    const opener = button(key, () => this.#toggle(key), { class: 'opener' });
    const preview = el('a', { href: previewPath(key), 'aria-label': `Preview ${key}` }, 'Preview');
    const row = el(
      'tr',
      {},
      el('th', { scope: 'row' }, opener, state),
      cell('codecs', 'Codecs'),
      cell('size', 'Size'),
      cell('fps', 'fps', 'number'),
      cell('rate', 'Bit rate', 'number'),
      cell('uptime', 'Uptime', 'number'),
      cell('viewers', 'Viewers', 'number'),
      el('td', { class: 'action' }, preview),
    );
    const body = el('tbody', {}, row);
    let details = null;
    body.update = ({ stream, isOpen, detail }) => {
      const video = stream.tracks.find((track) => track.kind === 'video');
      setText(state, STATES[stream.state] ?? stream.state);
      state.hidden = !state.textContent;
      const codecs = stream.tracks.filter((track) => track.kind !== 'data');
      setText(cells.codecs, codecs.map((track) => codecName(track.codec)).join(' · ') || '–');
      setText(cells.size, video?.width ? `${video.width}×${video.height}` : '–');
      setText(cells.fps, video ? fps(video.fps) : '–');
      setText(cells.rate, bitRate(stream.bits_per_second));
      setText(cells.uptime, duration(stream.uptime_ms));
      setText(cells.viewers, String(stream.readers.player));
      opener.setAttribute('aria-expanded', String(isOpen));
      if (!isOpen) {
        details?.remove();
        details = null;
      } else if (detail) {
        if (!details) {
          details = this.#details(key);
          body.append(details);
        }
        details.update(detail);
      }
    };
    return body;
  }

  #details(key) {
    const publisher = el('p', { class: 'quiet' });
    const urls = el('ul', { class: 'list' });
    const formats = el('ul', { class: 'list' });
    const viewers = el('tbody');
    const note = el('p', { class: 'quiet' });
    const table = el(
      'table',
      { class: 'rows viewers' },
      el('thead', {}, el('tr', {}, ...['Viewer', 'Player', 'Format', 'For', 'Sent', 'Behind', 'Skipped', ''].map(viewerHead))),
      viewers,
    );
    const stop = button('Stop stream…', () => this.#stop(key), { class: 'danger' });
    const cell = el(
      'td',
      { colspan: '8' },
      el('div', { class: 'line' }, publisher, stop),
      el('h3', {}, 'URLs'),
      urls,
      el('h3', {}, 'Formats'),
      formats,
      el('h3', {}, 'Viewers'),
      note,
      table,
    );
    const row = el('tr', { class: 'details' }, cell);
    row.update = (detail) => {
      setText(publisher, describePublisher(detail));
      keep(urls, urlsOf(detail), (url) => `${url.what} ${url.text}`, urlItem);
      keep(formats, detail.formats, (format) => format.format, formatItem);
      const shown = detail.viewers.slice(0, api.LIST_MAX);
      keep(viewers, shown, (viewer) => viewer.conn, (viewer) => this.#viewer(viewer));
      const count = detail.viewers.length;
      setText(note, count === 0 ? 'Nobody watches.' : `The first ${api.LIST_MAX} of ${count}.`);
      note.hidden = 0 < count && count <= api.LIST_MAX;
      table.hidden = count === 0;
    };
    return row;
  }

  #viewer(first) {
    const labels = ['Player', 'Format', 'For', 'Sent', 'Behind', 'Skipped'];
    const cells = labels.map((label, at) =>
      el('td', { 'data-label': label, class: at > 1 ? 'number' : '' }),
    );
    const name = el('th', { scope: 'row' });
    const cut = button('Kick…', () => this.#kick(first), {
      'aria-label': `Kick ${first.peer ?? first.conn}`,
    });
    const row = el('tr', {}, name, ...cells, el('td', { class: 'action' }, cut));
    row.update = (viewer) => {
      setText(name, viewer.peer ?? '–');
      const texts = [
        viewer.agent || '–',
        viewer.protocol,
        duration(viewer.uptime_ms),
        size(viewer.bytes),
        seconds(viewer.lag_ms / 1000),
        String(viewer.skipped),
      ];
      texts.forEach((text, at) => setText(cells[at], text));
    };
    return row;
  }

  async #stop(key) {
    const blockFor = await askToStop(key);
    if (blockFor === null) return;
    await this.#act(api.stop(key, blockFor), `${key} is stopped.`);
  }

  async #kick(viewer) {
    if (!(await askToKick(viewer))) return;
    await this.#act(api.kick(viewer.conn), 'The connection is closed.');
  }

  async #act(asked, done) {
    try {
      await asked;
      this.#tell.complain('');
      this.#tell.say(done);
    } catch (error) {
      this.#tell.complain(error instanceof api.Refused ? `The server refused: ${error.message}.` : 'The server gave no answer.');
    }
    this.#tell.changed();
  }
}

// Slashes stay as they are: the path reads like the key.
const previewPath = (key) => `/preview/${key.split('/').map(encodeURIComponent).join('/')}`;

function viewerHead(text, at) {
  const label = text || el('span', { class: 'unseen' }, 'Action');
  return el('th', { scope: 'col', class: at > 2 && text ? 'number' : '' }, label);
}

function describePublisher({ publisher, gop_ms: gop, gop_exceeds_ring: isLong, repaired_stamps: repaired }) {
  const parts = publisher
    ? [`Published over ${publisher.protocol} by ${publisher.peer ?? 'a plugin'}`, publisher.agent]
    : ['Its publisher is gone and may come back'];
  if (gop !== null) parts.push(`a keyframe every ${seconds(gop / 1000)}`);
  if (isLong) parts.push('keyframes too far apart: viewers wait for the next one');
  if (repaired > 0) parts.push(`${repaired} time stamps repaired`);
  return parts.filter(Boolean).join(' · ');
}

const urlsOf = ({ urls }) =>
  ['play', 'publish'].flatMap((what) =>
    urls.filter((url) => url[what]).map((url) => ({ ...url, what, text: url[what] })),
  );

function urlItem({ what, protocol, text }) {
  const label = what === 'play' ? `Play, ${protocol}` : `Publish, ${protocol}`;
  const item = el('li', {}, el('span', { class: 'label' }, label), copyable(text));
  item.update = () => {};
  return item;
}

function formatItem({ format }) {
  const verdict = el('span');
  const item = el('li', {}, el('span', { class: 'label' }, format), verdict);
  item.update = ({ playable, reason }) => {
    const words = new Map([[true, 'can be played'], [false, 'can’t be played'], [null, 'unknown']]);
    verdict.className = playable === false ? 'bad' : playable ? 'good' : 'quiet';
    setText(verdict, [words.get(playable), reason].filter(Boolean).join(': '));
  };
  return item;
}
