/**
 * Partition of the input topics for what commands append to the file log while no service runs, to be read by the next
 * one. What arrives over the API has another: the service writes it in the same commit as its decision.
 */
export const APPENDED_PARTITION = 0
