/**
 * Partitions of the input topics in the file log. What arrives over the API is written by the service in the same commit
 * as its decision, so it has a partition of its own; what other commands append while no service runs waits in another,
 * to be read by the next one.
 */
export const APPENDED_PARTITION = 0
export const INTAKE_PARTITION = 1
