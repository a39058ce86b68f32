// Everything on the page but the streams: figures of the server, plugins, listeners, and how to publish a first stream.

import { copyable, el, keep, keepFigures, setText } from './dom.js';
import { bitRate, duration, percent, size } from './units.js';

const sum = (items, figure) => items.reduce((total, item) => total + figure(item), 0);

// Of the last look, for the share of the CPU since then.
let before = null;

export function showFigures(list, system, streams) {
  const ms = before ? system.uptime_ms - before.uptime_ms : system.uptime_ms;
  const cpu = system.cpu_seconds - (before?.cpu_seconds ?? 0);
  before = system;
  const figures = [
    ['Viewers', String(sum(streams, (stream) => stream.readers.player))],
    ['Received', bitRate(sum(streams, (stream) => stream.bits_per_second))],
    ['CPU', ms > 0 ? percent((cpu * 1000) / ms) : '–'],
    ['Memory', size(system.memory.resident_bytes)],
    ['Uptime', duration(system.uptime_ms)],
  ];
  keepFigures(list, figures);
}

export function showPlugins(list, plugins) {
  keep(list, plugins, (plugin) => `${plugin.instance} ${plugin.file}`, ({ instance }) => {
    const state = el('span', { class: 'tag' });
    const about = el('span', { class: 'quiet' });
    const item = el('li', {}, el('span', { class: 'label' }, instance), state, about);
    item.update = (plugin) => {
      setText(state, plugin.state);
      state.dataset.state = plugin.state;
      const faults = plugin.faults > 0 ? `${plugin.faults} faults` : '';
      const name = plugin.plugin === instance ? '' : plugin.plugin;
      setText(about, [name, plugin.version, plugin.reason, faults].filter(Boolean).join(' · '));
    };
    return item;
  });
}

export function showListeners(list, listeners) {
  keep(list, listeners, (one) => `${one.instance} ${one.protocol} ${one.address}`, (one) => {
    const address = el('code');
    const item = el('li', {}, el('span', { class: 'label' }, one.protocol), address);
    item.update = () => setText(address, one.address);
    return item;
  });
}

const KEY = '{key}';
const TEST_PICTURE =
  'ffmpeg -re -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine -c:v libx264 -preset veryfast ' +
  '-tune zerolatency -g 60 -pix_fmt yuv420p -c:a aac -f flv';

// What OBS and ffmpeg are to be told, by the first listener that they can publish to.
export function showFirstStream(box, listeners) {
  const target = listeners.find(({ publish }) => publish.startsWith('rtmp') && publish.includes(KEY));
  const words = target?.publish ?? '';
  if (box.dataset.shown === words) return;
  box.dataset.shown = words;
  if (!target) {
    box.replaceChildren(el('p', {}, 'There is no stream, and no RTMP listener to publish to. See the plugins below.'));
    return;
  }
  const line = (label, text) => el('li', {}, el('span', { class: 'label' }, label), copyable(text));
  box.replaceChildren(
    el('p', {}, 'There is no stream yet. Publish the first one:'),
    el('h3', {}, 'OBS'),
    el('p', { class: 'quiet' }, 'Settings ▸ Stream ▸ Service: Custom'),
    el('ul', { class: 'list' }, line('Server', words.replace(KEY, 'live')), line('Stream key', 'cam')),
    el('h3', {}, 'ffmpeg'),
    el('ul', { class: 'list' }, line('Test picture', `${TEST_PICTURE} ${words.replace(KEY, 'live/cam')}`)),
  );
}
