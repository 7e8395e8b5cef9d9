import { useTranslation } from "react-i18next"

const KNOWN = [
  "assistants",
  "assistants_output",
  "vision",
  "user_data",
  "batch",
  "fine-tune",
  "evals",
] as const

/** What a file is there for, in words; purposes that we do not know keep their name. */
export function usePurposeWords(): (purpose: string) => string {
  const { t } = useTranslation("files")
  return (purpose) => {
    const known = KNOWN.find((name) => name === purpose)
    return known ? t(`purpose.${known}`) : purpose
  }
}

/** The API keeps what was uploaded for assistants to itself, and gives back the rest. */
export function isGivenBack(purpose: string): boolean {
  return purpose !== "assistants" && purpose !== "user_data"
}
