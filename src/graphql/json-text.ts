/** JSON that goes into the answer as the text it is, without being parsed: as objects it could take twenty times the memory. */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** For whoever reads the result without having it written by `answerText`. */
  toJSON(): unknown {
    return JSON.parse(this.text) as unknown;
  }
}
