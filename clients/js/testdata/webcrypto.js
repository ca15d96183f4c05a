// Node has it from version 20 on, which the module asks for; Debian 12 tests with 18.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto;
