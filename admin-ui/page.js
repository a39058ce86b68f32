// The page for operators: asks for the token, then shows the server as it is, every two seconds.
//
// It polls and does not follow /api/v1/events: rates, uptimes and lags change without an event, so that lists would have
// to be asked for all the same. A tab that nobody looks at does not ask.

import * as api from './api.js';
import { setText } from './dom.js';
import { showFigures, showFirstStream, showListeners, showPlugins } from './lists.js';
import { Streams } from './streams.js';

const INTERVAL_MS = 2000;

const part = (name) => document.getElementById(name);
const streams = new Streams(part('streams'), { changed: () => refresh(), say, complain });

let timer;
// Answers to an older question are not shown.
let round = 0;

// For those who hear the page.
function say(text) {
  setText(part('said'), text);
}

function complain(text) {
  setText(part('notice'), text);
  part('notice').hidden = !text;
}

function showLink(state, text) {
  part('link').dataset.state = state;
  setText(part('link'), text);
}

function signIn(problem = '') {
  clearTimeout(timer);
  round += 1;
  api.token.clear();
  part('page').hidden = true;
  part('sign-out').hidden = true;
  part('sign-in').hidden = false;
  showLink('', '');
  setText(part('version'), '');
  setText(part('token-problem'), problem);
  part('token').value = '';
  part('token').focus();
}

async function refresh() {
  clearTimeout(timer);
  round += 1;
  const own = round;
  try {
    const [system, streamList, plugins, detail] = await Promise.all([
      api.system(),
      api.list('streams'),
      api.list('plugins'),
      streams.askForOpen(),
    ]);
    if (own !== round) return;
    show(system, streamList, plugins, detail);
  } catch (error) {
    if (own !== round) return;
    if (error instanceof api.Refused && error.status === 401) {
      signIn('The server does not accept this token.');
      return;
    }
    const reason = error instanceof api.Refused ? error.message : 'no answer';
    showLink('lost', `Reconnecting: ${reason}`);
    part('page').classList.add('stale');
  }
  if (!document.hidden) timer = setTimeout(refresh, INTERVAL_MS);
}

function show(system, streamList, plugins, detail) {
  part('sign-in').hidden = true;
  part('page').hidden = false;
  part('sign-out').hidden = false;
  part('page').classList.remove('stale');
  showLink('live', 'Live');
  setText(part('version'), system.version);
  const hasStreams = streamList.items.length > 0;
  part('streams').hidden = !hasStreams;
  part('first-stream').hidden = hasStreams;
  part('more-streams').hidden = !streamList.next;
  setText(part('more-streams'), `The first ${api.LIST_MAX} are shown; the API pages through all.`);
  showFigures(part('figures'), system, streamList.items);
  streams.show(streamList.items, detail);
  showFirstStream(part('first-stream'), system.listeners);
  showPlugins(part('plugins'), plugins.items);
  part('no-plugins').hidden = plugins.items.length > 0;
  showListeners(part('listeners'), system.listeners);
}

part('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  setText(part('token-problem'), '');
  api.token.set(part('token').value.trim());
  showLink('', 'Asking');
  refresh();
});
part('sign-out').addEventListener('click', () => signIn());
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && api.token.get()) refresh();
});

if (api.token.get()) {
  refresh();
} else {
  signIn();
}
