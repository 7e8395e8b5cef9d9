import { ActionIcon, Drawer, Group, Text } from "@mantine/core"
import { useDisclosure } from "@mantine/hooks"
import {
  IconDatabase,
  IconFiles,
  IconKeyOff,
  IconMenu2,
  IconMessages,
  IconRobotFace,
} from "@tabler/icons-react"
import { Suspense, useEffect, useSyncExternalStore } from "react"
import { useTranslation } from "react-i18next"
import { NavLink, Outlet, useLocation } from "react-router"
import { forgetKey, onKeyRefused, setRefused, storedKey } from "../api/key"
import { KeyPrompt } from "./KeyPrompt"
import { LanguageMenu, ThemeMenu } from "./Preferences"
import classes from "./Shell.module.css"

const PLACES = [
  { path: "/assistants", name: "assistants", icon: IconRobotFace },
  { path: "/threads", name: "threads", icon: IconMessages },
  { path: "/files", name: "files", icon: IconFiles },
  { path: "/vector-stores", name: "vectorStores", icon: IconDatabase },
] as const

/** The frame of every page: the way between them beside it, above it on a phone. */
export function Shell() {
  const { t } = useTranslation()
  const { pathname } = useLocation()
  const [menuOpen, menu] = useDisclosure()
  const place = PLACES.find(({ path }) => pathname.startsWith(path))
  const title = place && t(`navigation.${place.name}`)

  useEffect(() => {
    document.title = title ? `${title} · ${t("name")}` : t("name")
  }, [title, t])

  return (
    <div className={classes.shell}>
      <a className={classes.skip} href="#content">
        {t("skipToContent")}
      </a>
      <header className={classes.bar}>
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          onClick={menu.open}
          aria-label={t("navigation.open")}
          aria-expanded={menuOpen}
        >
          <IconMenu2 size={20} />
        </ActionIcon>
        <Text fw={600}>{title ?? t("name")}</Text>
      </header>
      <aside className={classes.side} aria-label={t("name")}>
        <Side />
      </aside>
      <Drawer
        opened={menuOpen}
        onClose={menu.close}
        size={264}
        padding={0}
        withCloseButton={false}
        attributes={{ content: { "aria-label": t("navigation.label") } }}
      >
        <Side onLeave={menu.close} />
      </Drawer>
      <main id="content" tabIndex={-1} className={classes.content}>
        <Suspense>
          <Outlet />
        </Suspense>
      </main>
      <KeyPrompt />
    </div>
  )
}

function Side({ onLeave }: { onLeave?: () => void }) {
  const { t } = useTranslation()
  return (
    <div className={classes.sideContent}>
      <Group gap={10} px="xs" className={classes.brand}>
        <img src="/icon.svg" alt="" width={24} height={24} />
        <Text fw={650}>{t("name")}</Text>
      </Group>
      <nav aria-label={t("navigation.label")} className={classes.places}>
        {PLACES.map(({ path, name, icon: Picture }) => (
          <NavLink key={path} to={path} className={classes.place ?? ""} onClick={onLeave}>
            <Picture size={18} stroke={1.6} aria-hidden />
            {t(`navigation.${name}`)}
          </NavLink>
        ))}
      </nav>
      <Group gap={4}>
        <ThemeMenu />
        <LanguageMenu />
        <ForgetKey />
      </Group>
    </div>
  )
}

function ForgetKey() {
  const { t } = useTranslation()
  const key = useSyncExternalStore(onKeyRefused, storedKey)
  if (key === null) return null

  function forget() {
    forgetKey()
    setRefused(true)
  }

  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="lg"
      onClick={forget}
      aria-label={t("key.forget")}
      title={t("key.forget")}
    >
      <IconKeyOff size={18} stroke={1.6} />
    </ActionIcon>
  )
}
