export async function runSimulate(..._: unknown[]): Promise<number> {
  return 70
}
