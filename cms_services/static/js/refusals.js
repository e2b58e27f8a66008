// What the API says where it refuses something.

/** Headers that ask the API for the message of a refusal in the language of the page. */
export function inPageLanguage() {
  return { "X-Message-Language": document.documentElement.lang };
}

/** A refusal in the server's words, with the number under which its log has it. */
export class Refused extends Error {
  constructor(message, request = null) {
    super(message);
    this.request = request;
  }
}

/** The refusal that an answer of the API is; `otherwise` is said where it says nothing. */
export async function refusalOf(answer, otherwise) {
  const body = await answer.json().catch(() => null);
  return new Refused(body?.error?.message ?? otherwise, answer.headers.get("X-Request-ID"));
}
