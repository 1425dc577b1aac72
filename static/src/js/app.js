// Behaviour that every page shares: theme menu, keyboard, messages of failed partial updates, unsaved forms.
import { startCsrf } from "./lib/csrf.js";
import { startKeyboard } from "./lib/keyboard.js";
import { startForms } from "./lib/forms.js";
import { startMessages } from "./lib/messages.js";
import { startThemeMenu } from "./lib/theme-menu.js";
import { startRows } from "./lib/rows.js";

startCsrf();
startThemeMenu();
startKeyboard();
startMessages();
startForms();
startRows();
