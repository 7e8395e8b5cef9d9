/** What the server's content security policy wants on <style> elements that scripts make. */
export function styleNonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? ""
}
