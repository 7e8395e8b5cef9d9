import { ActionIcon, Menu, useMantineColorScheme } from "@mantine/core"
import { IconCheck, IconDeviceDesktop, IconLanguage, IconMoon, IconSun } from "@tabler/icons-react"
import { type ReactNode, useState } from "react"
import { useTranslation } from "react-i18next"
import { chooseLanguage, chosenLanguage, type LanguageChoice } from "./language"

const THEMES = { light: IconSun, dark: IconMoon, auto: IconDeviceDesktop }
const LANGUAGES = ["en", "ko", "auto"] as const

export function ThemeMenu() {
  const { t } = useTranslation()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const Current = THEMES[colorScheme]
  return (
    <Choice label={t("theme.label")} picture={<Current size={18} stroke={1.6} />}>
      {(["light", "dark", "auto"] as const).map((theme) => {
        const Picture = THEMES[theme]
        return (
          <Menu.Item
            key={theme}
            leftSection={<Picture size={16} stroke={1.6} />}
            rightSection={<Tick shown={theme === colorScheme} />}
            onClick={() => setColorScheme(theme)}
          >
            {t(`theme.${theme}`)}
          </Menu.Item>
        )
      })}
    </Choice>
  )
}

export function LanguageMenu() {
  const { t } = useTranslation()
  const [choice, setChoice] = useState(chosenLanguage)

  function choose(language: LanguageChoice) {
    setChoice(language)
    void chooseLanguage(language)
  }

  return (
    <Choice label={t("language.label")} picture={<IconLanguage size={18} stroke={1.6} />}>
      {LANGUAGES.map((language) => (
        <Menu.Item
          key={language}
          lang={language === "auto" ? undefined : language}
          rightSection={<Tick shown={language === choice} />}
          onClick={() => choose(language)}
        >
          {t(`language.${language}`)}
        </Menu.Item>
      ))}
    </Choice>
  )
}

/** A button that opens a menu of what can be chosen. */
function Choice({ label, picture, children }: { label: string; picture: ReactNode; children: ReactNode }) {
  return (
    <Menu position="top-start">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label={label} title={label}>
          {picture}
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown aria-label={label}>{children}</Menu.Dropdown>
    </Menu>
  )
}

function Tick({ shown }: { shown: boolean }) {
  return shown ? <IconCheck size={14} aria-hidden /> : null
}
