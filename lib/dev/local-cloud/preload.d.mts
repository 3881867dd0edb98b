/** preload.mjs has only its effect. */
export {};
