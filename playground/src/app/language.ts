import i18next from "i18next"
import { initReactI18next } from "react-i18next"
import type english from "../messages/en"

export type Language = "en" | "ko"
export type LanguageChoice = Language | "auto"

declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "app"
    resources: typeof english
  }
}

const NAME = "adjutant.language"

const bundles: Record<Language, () => Promise<{ default: Partial<Record<keyof typeof english, object>> }>> = {
  en: () => import("../messages/en"),
  ko: () => import("../messages/ko"),
}

export function chosenLanguage(): LanguageChoice {
  const stored = localStorage.getItem(NAME)
  return stored === "en" || stored === "ko" ? stored : "auto"
}

export async function startLanguage(): Promise<void> {
  await i18next.use(initReactI18next).init({
    resources: {},
    defaultNS: "app",
    fallbackLng: "en",
    // React escapes what it shows.
    interpolation: { escapeValue: false },
  })
  await show(spoken(chosenLanguage()))
}

export async function chooseLanguage(choice: LanguageChoice): Promise<void> {
  if (choice === "auto") localStorage.removeItem(NAME)
  else localStorage.setItem(NAME, choice)
  await show(spoken(choice))
}

function spoken(choice: LanguageChoice): Language {
  if (choice !== "auto") return choice
  const known = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag === "en" || tag === "ko")
  return known === "ko" ? "ko" : "en"
}

async function show(language: Language): Promise<void> {
  const { default: areas } = await bundles[language]()
  for (const [area, texts] of Object.entries(areas)) i18next.addResourceBundle(language, area, texts)
  await i18next.changeLanguage(language)
  document.documentElement.lang = language
}
