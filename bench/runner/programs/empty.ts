/* What every program under the same loader costs before it does anything. */
export {};
