/** Promises under way, and a way to wait for them. They must not reject. */
export class TaskGroup {
  readonly #tasks = new Set<Promise<void>>();

  get size(): number {
    return this.#tasks.size;
  }

  add(task: Promise<void>): void {
    this.#tasks.add(task);
    void task.finally(() => this.#tasks.delete(task));
  }

  /** Resolves when no task is under way, including those added meanwhile, or when the time is up. */
  async settled(withinMs?: number): Promise<void> {
    if (withinMs === undefined) {
      await this.#drain();
      return;
    }
    let timer: NodeJS.Timeout | undefined;
    const timeIsUp = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs);
    });
    await Promise.race([this.#drain(), timeIsUp]);
    clearTimeout(timer);
  }

  async #drain(): Promise<void> {
    while (this.#tasks.size > 0) {
      await Promise.all(this.#tasks);
    }
  }
}
