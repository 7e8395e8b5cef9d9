/**
 * What had the keyboard when a dialog opened, to be given it back by calling what is returned. An entry of a menu is gone
 * by then, so in its place stands what opened the menu.
 */
export function keyboardOwner(): () => void {
  const active = document.activeElement
  const owner = active?.closest('[role="menu"]')
    ? document.querySelector('[aria-haspopup="menu"][aria-expanded="true"]')
    : active
  return () => {
    if (owner instanceof HTMLElement) owner.focus()
  }
}
