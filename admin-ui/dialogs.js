// Asks before something is done that others notice.

const dialog = document.getElementById('dialog');
const part = (name) => document.getElementById(name);

// Resolves to whether the operator said yes.
function ask({ title, text, yes, asksForBlock = false }) {
  part('dialog-title').textContent = title;
  part('dialog-text').textContent = text;
  part('dialog-yes').textContent = yes;
  part('dialog-block').hidden = !asksForBlock;
  // Escape keeps the value of the last time.
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}

// Resolves to how long to block, as the API reads it, or to null: don't stop.
export async function askToStop(key) {
  const isSure = await ask({
    title: 'Stop this stream?',
    text: `${key} ends for its publisher and for all its viewers.`,
    yes: 'Stop',
    asksForBlock: true,
  });
  return isSure ? part('block-for').value : null;
}

export const askToKick = (viewer) =>
  ask({
    title: 'Close this connection?',
    text: `${viewer.peer ?? 'The viewer'} (${viewer.agent || viewer.protocol}) is cut off. It may come back: only rules keep it out.`,
    yes: 'Close',
  });
