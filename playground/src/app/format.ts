import { useMemo } from "react"
import { useTranslation } from "react-i18next"

/** Numbers and times as the language of the page writes them. */
export function useFormat() {
  const { i18n } = useTranslation()
  return useMemo(() => formatsOf(i18n.language), [i18n.language])
}

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const

export function formatsOf(language: string) {
  const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" })
  const day = new Intl.DateTimeFormat(language, { dateStyle: "medium" })
  const number = new Intl.NumberFormat(language)
  return {
    moment: (unixSeconds: number) => moment.format(unixSeconds * 1000),
    day: (unixSeconds: number) => day.format(unixSeconds * 1000),
    number: (value: number) => number.format(value),
    bytes(count: number) {
      const power = count < 1000 ? 0 : Math.min(Math.floor(Math.log10(count) / 3), UNITS.length - 1)
      const format = new Intl.NumberFormat(language, {
        style: "unit",
        unit: UNITS[power] ?? "byte",
        unitDisplay: power === 0 ? "long" : "short",
        maximumFractionDigits: power === 0 || count / 1000 ** power >= 100 ? 0 : 1,
      })
      return format.format(count / 1000 ** power)
    },
  }
}
