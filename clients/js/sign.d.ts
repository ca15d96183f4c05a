export interface How {
  secret: string;
  /** GET unless given; POST and PUT are for uploads. */
  method?: string;
  /** What is signed instead of the path: the path's first segments, or a slash and the picture's id. */
  scope?: string;
  /** The last second at which the signature is good. */
  expires: number | Date;
}

/** The query parameters that sign a decoded path. */
export function parameters(what: How & { path: string }): Promise<string>;

/** A URL with its signature behind it. */
export function sign(url: string, how: How): Promise<string>;

/** Signs every URL of one picture with one signature. */
export function signer(id: string, how: Omit<How, "scope">): Promise<{ url(url: string): string; srcset(srcset: string): string }>;
