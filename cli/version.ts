/** As in package.json; a test holds the two together. */
export const WEIR_VERSION = '0.1.0'
